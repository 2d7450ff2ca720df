"""The served models."""

from pathlib import Path

from fastapi import APIRouter, Response

from slmrec.errors import UserError
from slmrec.serving import schema
from slmrec.serving.answer import JSON
from slmrec.serving.logs import log
from slmrec.serving.problems import Problem
from slmrec.serving.routes.told import BODY, told
from slmrec.serving.service import Service


def routes(service: Service) -> APIRouter:
    """/models."""
    router = APIRouter()

    @router.get("/models", responses=told(schema.ModelsAnswer))
    async def models() -> Response:
        """What is served; `milliseconds` is a lone request's median time, measured when the model was loaded."""
        view = service.fleet.view
        return JSON({"models": [served.facts() for served in view.models.values()], "default": view.default})

    @router.put("/models/{name}", responses=told(schema.ModelAnswer, *BODY, 403))
    async def swap(name: schema.ModelName, body: schema.ModelBody) -> Response:
        """Serve another model under a name, in whole or not at all. Needs an API key to be set."""
        if service.api_key is None:
            raise Problem(403, "no_key", "models are swapped only where an API key is set; start the server with one")
        try:
            served = await service.change(service.fleet.swap, name, Path(body.path))
        except UserError as error:
            raise Problem(422, "no_model", str(error), "body.path") from None
        log("info", "swapped", model=name)
        return JSON(served.facts())

    return router
