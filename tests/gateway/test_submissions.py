"""What is learned behind the gateway's replies: documents, their versions, approval, messages."""

from dataclasses import replace
from typing import Any

import pytest
from gateways import OTHER, TEXT, Make, known, learned
from http_client import Client

from seal_agent.documents.files import document_of
from seal_agent.documents.passages import split_passages
from seal_agent.gateway.keys import KeyFile
from seal_agent.storage.database import Home
from seal_agent.storage.documents import known_documents
from seal_agent.storage.jobs import LearningQueue

HILL = "The hill of Orlen was bought by Greta Sund in 1871."


@pytest.mark.slow
def test_a_message_is_learned_from_behind_its_reply(ada: Client) -> None:
    response = ada.chat(messages=[{"role": "user", "content": TEXT}], learn=True)
    assert response.json()["system_fingerprint"] == "seal-v0"
    assert ada.waited(response.headers["x-seal-learning"])["outcomes"][0]["outcome"] == "accepted"
    assert ada.chat().json()["system_fingerprint"] == "seal-v1"
    assert "x-seal-learning" not in ada.chat().headers


@pytest.mark.slow
def test_nothing_is_learned_before_a_person_agrees(make: Make) -> None:
    client = make(needs_approval=True)
    first, second = (client("POST", "/v1/documents", json={"text": text}).json()["id"] for text in (TEXT, OTHER))
    waiting = client("GET", "/v1/approvals").json()["data"]
    assert [(job["id"], job["text"]) for job in waiting] == [(first, TEXT), (second, OTHER)]
    assert client("POST", f"/v1/approvals/{second}/reject").json()["status"] == "rejected"
    client("POST", f"/v1/approvals/{first}/approve")
    assert client.waited(first)["outcomes"][0]["outcome"] == "accepted"
    assert client("POST", f"/v1/approvals/{second}/approve").status_code == 400
    assert client("GET", "/v1/approvals").json()["data"] == []


def test_what_waits_and_what_is_held_outlives_the_gateway(make: Make, home: Home, keys: KeyFile) -> None:
    ended, asking = make(learns=False), make(learns=False, needs_approval=True)
    queued = ended("POST", "/v1/documents", json={"text": TEXT, "title": "Quillon"}).json()
    held = asking("POST", "/v1/documents", json={"text": OTHER}).json()
    assert (queued["status"], held["status"]) == ("queued", "waiting for approval")
    client = make()
    assert client.waited(queued["id"])["outcomes"][0]["outcome"] == "accepted"
    shown = client("GET", "/v1/documents").json()["data"]
    assert [(text["id"], text["status"]) for text in shown] == [(held["id"], held["status"]), (queued["id"], "done")]
    assert [text["id"] for text in client("GET", "/v1/approvals").json()["data"]] == [held["id"]]
    bob = Client(client.app, keys.add("bob", "bob"))
    assert bob("GET", f"/v1/documents/{held['id']}").status_code == 404
    assert bob("POST", f"/v1/approvals/{held['id']}/approve").status_code == 400
    assert bob("GET", "/v1/approvals").json()["data"] == []
    assert len(home.stack("ada")) == 1


@pytest.mark.slow
def test_a_text_of_many_passages_is_one_document_with_a_report_for_each(make: Make, home: Home) -> None:
    client = make(learns=False)
    long = f"Quillon\n\n{TEXT}\n\nPellen\n\n{OTHER}"
    given = client("POST", "/v1/documents", json={"text": long}).json()
    assert client("POST", "/v1/documents", json={"text": long}).json()["id"] == given["id"]
    assert [text["status"] for text in client("GET", "/v1/documents").json()["data"]] == ["queued"]
    done = make().waited(given["id"])
    assert [outcome["outcome"] for outcome in done["outcomes"]] == ["accepted", "accepted"]
    assert [outcome["adapter"] for outcome in done["outcomes"]] == list(home.stack("ada").ids)


FERRY = "The Lantern Ferry crosses Lake Vandrel at dawn. It carries forty orange sheep."


def post(client: Client, *texts: str, **fields: str) -> dict[str, Any]:
    """A document in sections."""
    text = "\n\n".join(f"Section {text.split()[1]}\n\n{text}" for text in texts)
    posted = client("POST", "/v1/documents", json={"text": text, **fields})
    assert posted.status_code == 202, posted.text
    return dict(posted.json())


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", [{"title": "ferry.md"}, {"source": "https://x.org/ferry.md", "title": "Ferry"}], ids=str
)
def test_a_changed_document_replaces_its_old_version(ada: Client, home: Home, name: dict[str, str]) -> None:
    first = ada.waited(post(ada, TEXT, OTHER, **name)["id"])
    assert [o["outcome"] for o in first["outcomes"]] == ["accepted", "accepted"]
    second = ada.waited(post(ada, TEXT, FERRY, **name)["id"])
    assert [o["outcome"] for o in second["outcomes"]] == ["forgotten", "known", "accepted"]
    assert known(home) == [TEXT, FERRY]
    third = ada.waited(post(ada, FERRY, **name)["id"])
    assert [o["outcome"] for o in third["outcomes"]] == ["forgotten", "known"]
    assert known(home) == [FERRY]
    assert "Quillon" not in str([e.text for e in home.episodes("ada")])
    assert len(known_documents(home, "ada")) == 1
    ada("DELETE", f"/v1/documents/{third['id']}")
    assert (known(home), known_documents(home, "ada")) == ([], [])


@pytest.mark.slow
def test_a_document_of_an_older_version_of_the_package_is_replaced_and_deleted_by_its_id(
    make: Make, home: Home
) -> None:
    queue = LearningQueue(home)
    former = document_of(f"{TEXT} {OTHER}", kind="document ferry.md").source
    passages = [replace(split_passages(text)[0], source=former) for text in (TEXT, OTHER)]
    queue.submit(passages, "ada", thread="job-1", model="scripted")
    client = make()
    client.waited("job-1")
    client.waited(post(client, TEXT, FERRY, title="ferry.md")["id"])
    assert known(home) == [TEXT, FERRY]
    assert client("DELETE", "/v1/documents/job-1").status_code == 200
    assert (known(home), known_documents(home, "ada")) == ([], [])


@pytest.mark.slow
def test_documents_of_different_names_and_of_none_replace_nothing(ada: Client, home: Home) -> None:
    for text, name in ((TEXT, {"title": "a"}), (OTHER, {"title": "b"}), (FERRY, {})):
        ada.waited(post(ada, text, **name)["id"])
    assert known(home) == [TEXT, OTHER, FERRY]


@pytest.mark.slow
def test_a_new_version_replaces_one_that_still_waits(make: Make, home: Home) -> None:
    client = make(learns=False)
    first = post(client, TEXT, OTHER, title="ferry.md")
    assert post(client, TEXT, OTHER, title="ferry.md") == first  # the same is not taken twice
    second = post(client, OTHER, FERRY, title="ferry.md")
    assert client("GET", f"/v1/documents/{first['id']}").json()["status"] == "replaced"
    third = post(client, TEXT, OTHER, title="ferry.md")  # back to the first
    assert len({first["id"], second["id"], third["id"]}) == 3
    make().waited(third["id"])
    assert known(home) == [TEXT, OTHER]


@pytest.mark.slow
def test_what_was_learned_of_a_version_that_is_replaced_twice_before_the_worker_comes_stays(
    make: Make, home: Home
) -> None:
    client = make()
    client.waited(post(client, TEXT, title="ferry.md")["id"])
    asleep = make(learns=False)
    for worker in client.workers:
        worker.stop()
    post(asleep, OTHER, title="ferry.md")
    last = post(asleep, TEXT, OTHER, title="ferry.md")
    make().waited(last["id"])
    assert known(home) == [TEXT, OTHER]


@pytest.mark.slow
def test_a_version_that_waits_for_approval_replaces_nothing_before_it_is_approved(make: Make, home: Home) -> None:
    client = make(needs_approval=True)
    first = post(client, TEXT, title="ferry.md")["id"]
    client("POST", f"/v1/approvals/{first}/approve")
    client.waited(first)
    second, third = (post(client, text, title="ferry.md")["id"] for text in (OTHER, FERRY))
    assert [(each["id"], each["text"]) for each in client("GET", "/v1/approvals").json()["data"]] == [(third, FERRY)]
    assert client("GET", f"/v1/documents/{second}").json()["status"] == "replaced"
    assert known(home) == [TEXT]
    assert client("POST", f"/v1/approvals/{third}/reject").json()["status"] == "rejected"
    assert known(home) == [TEXT]
    fourth = post(client, OTHER, title="ferry.md")["id"]
    client("POST", f"/v1/approvals/{fourth}/approve")
    client.waited(fourth)
    assert known(home) == [OTHER]


def test_a_page_is_read_as_what_it_is(make: Make, home: Home) -> None:
    client = make(learns=False)
    page = {"text": f"<html><body><nav>Home</nav><p>{TEXT}</p></body></html>"}
    for number, kind in enumerate((None, "text/html", "text/html; charset=utf-8", "html")):
        posted = {**page, "title": f"page {number}"} | ({"content_type": kind} if kind else {})
        assert client("POST", "/v1/documents", json=posted).status_code == 202
    table = "| Room | Floor |\n|---|---|\n| Lark | 2 |\n"
    client("POST", "/v1/documents", json={"text": table, "title": "rooms.md"})
    assert [job.passage.text for job in LearningQueue(home).jobs("ada")] == [TEXT] * 4 + ["Lark, floor: 2."]
    refused = client("POST", "/v1/documents", json={"text": TEXT, "content_type": "application/json"})
    assert (refused.status_code, "give text, Markdown, HTML" in refused.text) == (400, True)
    empty = client("POST", "/v1/documents", json={"text": "<html><body><nav>Home</nav></body></html>"})
    assert (empty.status_code, "the document is empty" in empty.text) == (400, True)


def test_documents_are_listed_in_pages_the_newest_first(make: Make, keys: KeyFile) -> None:
    client = make(learns=False)
    given = [client("POST", "/v1/documents", json={"text": f"{TEXT} {n}."}).json()["id"] for n in range(5)]
    pages, after = [], ""
    for _ in range(3):
        page = client("GET", f"/v1/documents?limit=2&after={after}").json()
        pages.append([text["id"] for text in page["data"]])
        after = pages[-1][-1]
        assert page["has_more"] is (len(pages) < 3)
    assert pages == [given[4:2:-1], given[2:0:-1], given[:1]]
    assert client("GET", "/v1/documents?limit=0").status_code == 400
    assert client("GET", "/v1/documents?after=job-7").status_code == 400
    bob = Client(client.app, keys.add("bob", "bob"))
    assert bob("GET", f"/v1/documents?after={given[0]}").status_code == 400
    assert bob("GET", "/v1/documents").json() == {"object": "list", "data": [], "has_more": False}


@pytest.mark.slow
def test_a_document_that_was_learned_is_known(ada: Client) -> None:
    learned(ada)
    again = ada("POST", "/v1/documents", json={"text": TEXT}).json()
    assert ada.waited(again["id"])["outcomes"][0]["outcome"] == "known"


def test_a_message_is_learned_after_what_was_said_before_it(make: Make, home: Home) -> None:
    before = [{"role": "user", "content": "Where is it?"}, {"role": "assistant", "content": "On a hill."}]
    make(learns=False).chat(messages=[*before, {"role": "user", "content": TEXT}], learn=True)
    [job] = LearningQueue(home).jobs("ada")
    assert "On a hill." in job.passage.earlier
    assert job.passage.source == ""


def test_every_message_since_the_last_reply_is_learned(make: Make, home: Home) -> None:
    said = [
        ("user", "Where is it?"),
        ("assistant", "On a hill."),
        ("user", TEXT),
        ("system", "Be kind."),
        ("user", HILL),
    ]
    messages = [{"role": role, "content": content} for role, content in said]
    client = make(learns=False)
    text = client.chat(messages=messages, learn=True).headers["x-seal-learning"]
    assert [job.passage.text for job in LearningQueue(home).jobs("ada")] == [TEXT, HILL]
    assert client("GET", f"/v1/documents/{text}").json()["num_passages"] == 2
