"""Routes past FastAPI's parameters: a model or a problem comes out, as from any other route."""

from fastapi import APIRouter, FastAPI, Request
from fastapi.testclient import TestClient
from pydantic import BaseModel, Field

from app.api.deps import PlainRoute
from app.errors import Overloaded

router = APIRouter(route_class=PlainRoute)


class Answer(BaseModel):
    length: int = Field(serialization_alias="len")


@router.post("/measured")
async def measured(request: Request) -> Answer:
    """Answer how long the body is."""
    body = await request.body()
    if not body:
        raise Overloaded("3 wait", retry_after_seconds=2)
    return Answer(length=len(body))


# Without the handlers that `problems.install` adds.
app = FastAPI()
app.include_router(router)
client = TestClient(app)


def test_a_model_is_answered_as_json_under_its_public_names() -> None:
    answer = client.post("/measured", content=b"four")
    assert (answer.status_code, answer.json()) == (200, {"len": 4})
    assert answer.headers["content-type"] == "application/json"
    described = app.openapi()["paths"]["/measured"]["post"]["responses"]["200"]
    assert described["content"]["application/json"]["schema"]["$ref"].endswith("/Answer")


def test_a_refusal_is_a_problem_document_and_says_when_to_come_back() -> None:
    answer = client.post("/measured")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["detail"].startswith("3 wait")
