"""What Prometheus reads: requests, their time, batches, the queue, users' states."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

SECONDS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.15, 0.25, 0.5, 1, 2.5, 5, 10)
SIZES = (1, 2, 4, 8, 16, 32, 64, 128)


class Metrics:
    """One server's counters."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "slmrec_requests", "Requests answered.", ("route", "method", "status"), registry=self.registry
        )
        self._seconds = Histogram(
            "slmrec_request_seconds", "Seconds to the answer.", ("route",), buckets=SECONDS, registry=self.registry
        )
        self._batches = Histogram(
            "slmrec_batch_size", "Requests computed together.", ("queue",), buckets=SIZES, registry=self.registry
        )
        self._gauges: dict[str, Gauge] = {}

    def request(self, route: str, method: str, status: int, seconds: float) -> None:
        """Count one request."""
        known = method if method in ("GET", "POST", "PUT", "DELETE") else "other"
        self._requests.labels(route, known, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def batch(self, queue: str, size: int) -> None:
        """Count one batch."""
        self._batches.labels(queue).observe(size)

    def watch(self, name: str, about: str, value: Callable[[], float]) -> None:
        """Read a value whenever somebody asks."""
        gauge = self._gauges.setdefault(name, Gauge(f"slmrec_{name}", about, registry=self.registry))
        gauge.set_function(value)

    def text(self) -> bytes:
        """All of it, as Prometheus wants it."""
        return generate_latest(self.registry)
