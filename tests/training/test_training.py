"""Training: a resumed run equals an unbroken one, accumulated gradients equal whole ones, and models do learn."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from slmrec.data import Dataset
from slmrec.data.batches import training_examples
from slmrec.errors import UserError
from slmrec.evaluation import evaluate
from slmrec.models import SASRec, SASRecConfig, load
from slmrec.models.items import ItemTable
from slmrec.training import trainer as trainer_module
from slmrec.training.modules import NextItem
from slmrec.training.options import LLMOptions, SASRecOptions, TrainingOptions
from slmrec.training.train import train_classic, train_llm, train_popularity
from slmrec.training.trainer import RecommenderTrainer, parameter_groups

pytestmark = pytest.mark.filterwarnings(
    "ignore:.*lr_scheduler.step.*:UserWarning", "ignore:`torch.jit:DeprecationWarning"
)


def sasrec(**training) -> SASRecOptions:
    chosen = {"epochs": 4, "batch_size": 16, "learning_rate": 1e-2} | training
    return SASRecOptions(hidden_size=16, num_blocks=1, dropout=0.2, max_length=8, training=TrainingOptions(**chosen))


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load(folder).state_dict()


def assert_equal_weights(one: Path, other: Path) -> None:
    ours, theirs = weights(one), weights(other)
    assert ours.keys() == theirs.keys()
    for name in ours:
        assert torch.equal(ours[name], theirs[name]), name


class Cut(Exception):
    """Stands for whatever ends a run."""


@pytest.mark.parametrize("how", [{}, {"loss": "sampled-softmax", "negatives": 7}, {"average_epochs": 0.5}])
@pytest.mark.parametrize("step", [3, 9])
def test_a_run_cut_off_at_any_step_ends_with_the_weights_of_the_unbroken_one(cycle, tmp_path, monkeypatch, how, step):
    monkeypatch.setattr(trainer_module, "SAVE_SECONDS", 0)  # save after every step, so also within an epoch
    options = sasrec(**how)
    train_classic(cycle, options, tmp_path / "unbroken")

    def cut(done, total, note):
        if done == step:
            raise Cut

    with pytest.raises(Cut):
        train_classic(cycle, options, tmp_path / "broken", progress=cut)
    assert not (tmp_path / "broken").exists()
    steps = []
    train_classic(cycle, options, tmp_path / "broken", progress=lambda done, total, note: steps.append(done))
    assert steps[0] == step  # the step in which it was cut is done again, the earlier ones are not
    assert_equal_weights(tmp_path / "unbroken", tmp_path / "broken")
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []


@pytest.mark.parametrize("left", ["", '{"epoch": 0.7'])
def test_a_checkpoint_that_was_itself_cut_off_is_not_taken_up(cycle, tmp_path, monkeypatch, left):
    monkeypatch.setattr(trainer_module, "SAVE_SECONDS", 0)
    train_classic(cycle, sasrec(), tmp_path / "unbroken")

    def cut(done, total, note):
        if done == 4:
            raise Cut

    with pytest.raises(Cut):
        train_classic(cycle, sasrec(), tmp_path / "broken", progress=cut)
    (tmp_path / ".broken.work" / "checkpoint-3" / "trainer_state.json").write_text(left)
    steps = []
    train_classic(cycle, sasrec(), tmp_path / "broken", progress=lambda done, total, note: steps.append(done))
    assert steps[0] == 3  # from the checkpoint before
    assert_equal_weights(tmp_path / "unbroken", tmp_path / "broken")


def test_a_training_cut_off_before_it_said_what_it_is_starts_afresh(cycle, tmp_path):
    (tmp_path / ".m.work" / "checkpoint-1").mkdir(parents=True)
    train_classic(cycle, sasrec(), tmp_path / "m")
    train_classic(cycle, sasrec(), tmp_path / "other")
    assert_equal_weights(tmp_path / "m", tmp_path / "other")
    assert not (tmp_path / ".m.work").exists()


def test_a_killed_process_resumes_to_the_same_weights(cycle, tmp_path, monkeypatch):
    monkeypatch.setattr(trainer_module, "SAVE_SECONDS", 0)
    cycle.save(tmp_path / "data")
    script = f"""
import time
from pathlib import Path
from slmrec.data import Dataset
from slmrec.training import trainer
from slmrec.training.options import SASRecOptions, TrainingOptions
from slmrec.training.train import train_classic
trainer.SAVE_SECONDS = 0
folder = Path({str(tmp_path)!r})
train_classic(Dataset.load(folder / "data"), {sasrec(epochs=6)!r}, folder / "broken", lambda *_: time.sleep(0.2))
"""
    process = subprocess.Popen(
        [sys.executable, "-c", script],
        stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob(".broken.work/checkpoint-*/trainer_state.json")):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    time.sleep(0.5)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "broken").exists()
    steps = []
    train_classic(cycle, sasrec(epochs=6), tmp_path / "broken", progress=lambda done, total, note: steps.append(done))
    assert steps[0] > 0  # it went on
    train_classic(cycle, sasrec(epochs=6), tmp_path / "unbroken")
    assert_equal_weights(tmp_path / "unbroken", tmp_path / "broken")


def test_a_training_begun_before_an_option_was_added_goes_on(cycle, tmp_path):
    """What it is told by then lacks the option; where that is off, it is the same training."""

    def cut(done, total, note):
        if done == 4:
            raise Cut

    with pytest.raises(Cut):
        train_classic(cycle, sasrec(), tmp_path / "m", progress=cut)
    told = tmp_path / ".m.work" / "job.json"
    job = json.loads(told.read_text())
    assert job["options"]["training"].pop("average_epochs") == 0
    told.write_text(json.dumps(job))
    steps = []
    train_classic(cycle, sasrec(), tmp_path / "m", progress=lambda done, total, note: steps.append(done))
    assert steps[0] > 0


def test_another_jobs_checkpoints_are_not_taken_up(cycle, tmp_path):
    def cut(done, total, note):
        raise Cut

    with pytest.raises(Cut):
        train_classic(cycle, sasrec(seed=1), tmp_path / "m", progress=cut)
    train_classic(cycle, sasrec(seed=2), tmp_path / "m")
    train_classic(cycle, sasrec(seed=2), tmp_path / "again")
    assert_equal_weights(tmp_path / "m", tmp_path / "again")


@pytest.mark.parametrize("pieces", [2, 8])
def test_accumulated_pieces_take_the_step_of_the_whole_batch(cycle, tmp_path, pieces):
    """8 × 1 and 2 × 4 against 1 × 8, with sequences of unlike length."""
    steps = []
    for count in (1, pieces):
        torch.manual_seed(0)
        model = SASRec(SASRecConfig(num_items=20, max_length=8, hidden_size=16, dropout=0.0))
        model.catalogue = cycle.catalogue
        options = TrainingOptions(max_steps=2, batch_size=8, gradient_accumulation=count, max_grad_norm=1e9)
        examples = training_examples(cycle, 8, "every-position")
        trainer = RecommenderTrainer(NextItem(model, options), examples, cycle, options, tmp_path / str(count))
        trainer.train()
        steps.append({name: p.detach().clone() for name, p in model.named_parameters()})
    for name in steps[0]:
        torch.testing.assert_close(steps[1][name], steps[0][name], rtol=1e-3, atol=1e-5, msg=name)


def test_a_filled_batch_is_a_batch_of_so_many(cycle, tmp_path):
    lengths = [len(example.inputs) for example in training_examples(cycle, 8, "every-position")]
    positions = round(3 * 4 * sum(lengths) / len(lengths))
    train_classic(cycle, sasrec(batch_size=4, batch_positions=positions, epochs=2), tmp_path / "filled")
    train_classic(cycle, sasrec(batch_size=12, epochs=2), tmp_path / "plain")
    assert_equal_weights(tmp_path / "filled", tmp_path / "plain")
    told = json.loads((tmp_path / "filled" / "training.json").read_text())
    assert told["options"]["batch_size"] == 12
    assert told["steps"] == 2 * -(-len(lengths) // 12)


def test_sasrec_learns_the_planted_order(cycle, tmp_path):
    model = train_classic(cycle, sasrec(epochs=25), tmp_path / "m")
    assert evaluate(model, cycle).metrics["HR@1"] > 0.9
    assert list((tmp_path / "m" / "tensorboard").rglob("events.out.tfevents.*"))
    popular = train_popularity(cycle, tmp_path / "p")
    assert evaluate(popular, cycle).metrics["HR@1"] < 0.5


@pytest.mark.parametrize("loss", ["softmax", "sampled-softmax", "gbce"])
def test_an_llm_learns_the_planted_order_by_every_loss(cycle, llama, tmp_path, loss):
    training = TrainingOptions(
        epochs=12, batch_size=16, learning_rate=1e-2, backbone_learning_rate=2e-3, loss=loss, negatives=19
    )
    options = LLMOptions(backbone=str(llama), layers=2, max_length=8, training=training)
    model = train_llm(cycle, options, tmp_path / "m", ItemTable.of(torch.randn(20, 16) * 0.3))
    assert evaluate(model, cycle).metrics["HR@1"] > 0.8


def test_the_best_epoch_is_kept_and_patience_ends_training(cycle, tmp_path):
    model = train_classic(cycle, sasrec(epochs=60, patience=3, learning_rate=0.03), tmp_path / "m")
    told = json.loads((tmp_path / "m" / "training.json").read_text())
    by_epoch = {round(row["epoch"]): row["valid_NDCG@10"] for row in told["log"] if "valid_NDCG@10" in row}
    best = max(by_epoch, key=lambda epoch: (by_epoch[epoch], -epoch))
    assert told["best_epoch"] == best
    assert len(by_epoch) == min(60, best + 3)
    assert evaluate(model, cycle, "valid").metrics["NDCG@10"] == pytest.approx(by_epoch[best], abs=1e-6)


def test_reduced_precision_runs_on_the_same_code(cycle, llama, tmp_path):
    training = TrainingOptions(epochs=1, batch_size=16, precision="bf16")
    options = LLMOptions(backbone=str(llama), layers=1, max_length=8, training=training)
    model = train_llm(cycle, options, tmp_path / "m")
    assert all(torch.isfinite(p).all() for p in model.parameters())
    assert {p.dtype for p in model.parameters()} == {torch.float32}


def test_two_processes_train_one_model(cycle, tmp_path):
    """DDP over gloo: both ranks end with the same weights, and only one writes the folder."""
    cycle.save(tmp_path / "data")
    script = tmp_path / "job.py"
    script.write_text(
        f"""
from pathlib import Path
from slmrec.data import Dataset
from slmrec.training.options import SASRecOptions, TrainingOptions
from slmrec.training.train import train_classic
options = SASRecOptions(hidden_size=16, num_blocks=1, max_length=8,
                        training=TrainingOptions(epochs=2, batch_size=8, learning_rate=1e-2))
train_classic(Dataset.load({str(tmp_path / "data")!r}), options, Path({str(tmp_path / "m")!r}))
"""
    )
    command = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc_per_node=2",
        str(script),
    ]
    environment = os.environ | {"CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120)
    assert done.returncode == 0, done.stderr[-3000:]
    assert isinstance(load(tmp_path / "m"), SASRec)


def test_learning_rates_by_part_and_no_decay_on_vectors(cycle, llama):
    from slmrec.training.build import build_llm

    model = build_llm(cycle, LLMOptions(backbone=str(llama), layers=1), None)
    options = TrainingOptions(learning_rate=1e-3, backbone_learning_rate=1e-4, weight_decay=0.1)
    module = NextItem(model, options)
    rates = {}
    for group in parameter_groups(module, options):
        for parameter in group["params"]:
            rates[parameter] = (group["lr"], group["weight_decay"])
    assert rates[model.backbone.layers[0].mlp.up_proj.weight] == (1e-4, 0.1)
    assert rates[model.final_norm.weight] == (1e-4, 0.0)
    assert rates[model.input_adapter.weight] == (1e-3, 0.1)
    assert rates[model.items.weight] == (1e-3, 0.0)


def test_refusals_come_before_training(cycle, tmp_path):
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "file").write_text("x")
    with pytest.raises(UserError, match="not ours to replace"):
        train_classic(cycle, sasrec(), tmp_path / "precious")
    import polars as pl

    singles = Dataset.from_frame(pl.DataFrame({"user_id": ["a", "b"], "item_id": ["1", "2"]}))
    with pytest.raises(UserError, match="no user with two training interactions"):
        train_classic(singles, sasrec(), tmp_path / "m")
    assert not (tmp_path / "m").exists()
    with pytest.raises(UserError, match="100 rows, the data set 20 items"):
        train_llm(cycle, LLMOptions(backbone="nowhere"), tmp_path / "m", ItemTable.of(torch.zeros(100, 4)))
