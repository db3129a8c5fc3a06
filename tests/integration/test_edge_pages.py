"""The dashboard and the documents, as an edge serves them and as the wheel has them."""

import re
import subprocess
import sys
import zipfile
from pathlib import Path

from schemas.extras import FEATURES
from tests.support.described import document, messages_of
from tests.support.serving import serving
from tests.support.shared_data import ROOT

STATIC = ROOT / "edge" / "static"
PAGES = {
    "/": "index.html",
    "/openapi.json": "openapi.json",
    "/asyncapi.json": "asyncapi.json",
}
PAGE = (STATIC / "index.html").read_text(encoding="utf-8")
(SCRIPT,) = re.findall(r"<script type=\"module\">(.*?)</script>", PAGE, re.DOTALL)


async def test_each_is_served_byte_for_byte_and_only_once(tmp_path: Path) -> None:
    async with serving(tmp_path) as edge, edge.http() as http:
        for path, name in PAGES.items():
            got = await http.get(path)
            assert got.status_code == 200
            assert got.content == (STATIC / name).read_bytes()
            assert got.headers["content-encoding"] == "gzip"
            held = {"If-None-Match": got.headers["etag"]}
            again = await http.get(path, headers=held)
            assert (again.status_code, again.content) == (304, b"")
            assert again.headers["etag"] == got.headers["etag"]


async def test_head_leaves_out_the_body_and_nothing_else_is_allowed(
    tmp_path: Path,
) -> None:
    async with serving(tmp_path) as edge, edge.http() as http:
        got, headed = await http.get("/"), await http.head("/")
        refused = await http.post("/")
    assert (headed.status_code, headed.content) == (200, b"")
    assert headed.headers["content-length"] == got.headers["content-length"]
    assert (refused.status_code, refused.headers["allow"]) == (
        405,
        "GET, HEAD, OPTIONS",
    )


async def test_the_dashboard_may_run_nothing_but_its_own_script(tmp_path: Path) -> None:
    async with serving(tmp_path) as edge, edge.http() as http:
        policy = (await http.get("/")).headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert policy.count("'sha256-") == 2
    assert "unsafe" not in policy


def test_the_dashboard_loads_nothing_from_elsewhere() -> None:
    loaded = re.findall(r"(?:src|href|url|import)\s*[=(]\s*[\"']?([^\"')\s>]+)", PAGE)
    own = {"#prices", "#user", *(path.removeprefix("/") for path in PAGES)}
    own |= {"health/ready", "metrics", "prices"}
    strange = {each for each in loaded if not each.startswith("data:")} - own
    assert strange <= {"new", "url.hash"}
    # A style or a handler inside a tag would be refused by the policy.
    assert re.findall(r"<[^>]+\s(?:style|on[a-z]+)=", PAGE) == []


def test_the_dashboard_says_what_the_edge_takes() -> None:
    every = document("asyncapi")["components"]["messages"]
    for party in ("prices", "balances"):
        taken = {every[name]["name"] for name in messages_of(party, sent=False)}
        said = set(re.findall(r"\.say\(\"([A-Z_]+)\"", SCRIPT))
        assert said <= taken
        assert {"HELLO", "SUBSCRIBE", "UNSUBSCRIBE"} <= said


def test_the_dashboard_hears_what_the_edge_sends() -> None:
    every = document("asyncapi")["components"]["messages"]
    sent = {
        every[name]["name"]
        for party in ("prices", "balances")
        for name in messages_of(party, sent=True)
    }
    heard = set(re.findall(r"^    ([A-Z_]+)\(message\) \{", SCRIPT, re.MULTILINE))
    # Who acknowledges nothing has nothing to do on being acknowledged.
    assert heard == sent - {"UNSUBSCRIBED"}


def test_the_dashboard_asks_for_features_that_there_are() -> None:
    (named,) = re.findall(r"const FEATURES = \[(.*?)\]", SCRIPT)
    assert tuple(re.findall(r"[a-z]+", named)) == FEATURES


def test_every_element_that_the_script_names_is_there() -> None:
    named = set(re.findall(r"(?:\$|say)\(\"([a-z-]+)\"", SCRIPT))
    there = re.findall(r"\bid=\"([a-z-]+)\"", PAGE)
    assert named - set(there) == set()
    assert len(there) == len(set(there))


def test_the_wheel_has_them(tmp_path: Path) -> None:
    code = "import sys; from hatchling.build import build_wheel as b; b(sys.argv[1])"
    subprocess.run(  # noqa: S603 - our own project
        [sys.executable, "-c", code, tmp_path],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as opened:
        names = set(opened.namelist())
    assert {f"edge/static/{name}" for name in PAGES.values()} <= names
