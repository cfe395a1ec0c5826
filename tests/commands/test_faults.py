"""What a person at the terminal is told when something is in the way: one sentence, with what to do."""

import socket
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest

from ci import apt, cluster, common, docker_engine, images, tools
from ci.common import VERSIONS
from ci.offline import host, model_image
from vllm_chart import process
from vllm_chart.entry_point import main
from vllm_chart.errors import CommandError, UserError


@pytest.fixture
def empty_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder on PATH, with nothing in it."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    monkeypatch.setattr(docker_engine, "_own_process", lambda: None)
    return folder


def _program(folder: Path, name: str, script: str) -> None:
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


def test_no_docker_and_no_root_says_to_install_docker(empty_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not list(empty_path.iterdir())
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    with pytest.raises(UserError, match=r"Docker isn't running here: install and start it .* or run as root"):
        docker_engine.ensure()


def test_a_docker_host_that_does_not_answer_is_named(empty_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _program(empty_path, "docker", "echo 'Cannot connect' >&2; exit 1")
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:9")
    with pytest.raises(UserError, match=r"No Docker engine answers at DOCKER_HOST=tcp://127\.0\.0\.1:9"):
        docker_engine.ensure()


def test_a_docker_that_this_user_may_not_use_says_how_to_join_its_group(empty_path: Path) -> None:
    _program(empty_path, "docker", "echo 'permission denied while trying to connect' >&2; exit 1")
    with pytest.raises(UserError, match="usermod -aG docker"):
        docker_engine.ensure()


def test_a_docker_older_than_kind_needs_is_refused(empty_path: Path) -> None:
    _program(empty_path, "docker", "echo 19.03.15")
    with pytest.raises(UserError, match=r"Docker 19\.03\.15 is too old for kind: install 20\.10 or newer"):
        docker_engine.ensure()


def test_a_docker_that_is_new_enough_is_used(empty_path: Path) -> None:
    _program(empty_path, "docker", "echo 28.2.2")
    docker_engine.ensure()


def test_missing_system_packages_without_root_are_named(empty_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _program(empty_path, "apt-get", "exit 1")
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    with pytest.raises(UserError, match="sudo apt-get install debootstrap"):
        apt.apt_install({"debootstrap": "debootstrap"})


def test_missing_system_packages_without_apt_are_named(empty_path: Path) -> None:
    assert not list(empty_path.iterdir())
    with pytest.raises(UserError, match=r"This needs jq \(Debian's names\)"):
        apt.apt_install({"jq": "jq"})


def test_tools_without_go_say_where_to_get_them(
    empty_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not list(empty_path.iterdir())
    monkeypatch.setattr(tools, "CACHE", tmp_path / "cache")
    with pytest.raises(UserError, match=r"kind 0\.33\.0 isn't installed, nor is Go.*https://kind\.sigs\.k8s\.io"):
        tools.find("kind")


def test_promtool_comes_from_the_path_else_from_debian(
    empty_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tools, "CACHE", tmp_path / "cache")
    with pytest.raises(
        UserError, match=r"promtool isn't installed, nor is this Debian.*https://prometheus\.io/download"
    ):
        tools.find("promtool")
    _program(empty_path, "apt-get", "/bin/touch prometheus_1_all.deb")
    _program(empty_path, "dpkg", '/bin/mkdir -p "$3/usr/bin"; echo promtool > "$3/usr/bin/promtool"')
    found = tools.find("promtool")
    assert found == tmp_path / "cache" / "tools" / "promtool-debian" / "promtool"
    assert found.read_text() == "promtool\n"
    _program(empty_path, "promtool", "echo promtool, version 2.53.3")
    assert tools.find("promtool") == empty_path / "promtool"


def test_a_tool_on_the_path_that_is_too_old_is_not_used(
    empty_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tools, "CACHE", tmp_path / "cache")
    _program(empty_path, "kind", "echo kind v0.20.0 go1.20 linux/amd64")
    with pytest.raises(UserError, match="isn't installed"):
        tools.find("kind")
    _program(empty_path, "kind", "echo kind v0.33.0 go1.26 linux/amd64")
    assert tools.find("kind") == empty_path / "kind"


def test_a_helm_that_must_be_the_pinned_one_is_no_other(
    empty_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tools, "CACHE", tmp_path / "cache")
    monkeypatch.setattr(tools, "_install", tools._own)
    program = empty_path / "helm"
    for version, taken in (("3.18.0", False), ("4.9.0", False), (VERSIONS["tools"]["helm"]["version"], True)):
        program.write_text(f"#!/bin/sh\necho v{version}\n")
        program.chmod(0o755)
        assert tools.find("helm") == program
        assert tools.find("helm", pinned=True) == (program if taken else tools._own("helm"))


def test_a_full_disk_is_found_before_anything_is_built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "CACHE", tmp_path)
    monkeypatch.setattr(common, "CACHE", tmp_path)
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr("shutil.which", lambda name: f"/bin/{name}")
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=3.2e9))
    with pytest.raises(UserError, match=r"needs about 25 GB, and .* has 3\.2 GB free"):
        host.prepare()


def test_building_without_root_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    with pytest.raises(UserError, match="needs root"):
        host.prepare()


def test_a_taken_port_is_named_with_the_way_to_choose_another() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(UserError, match=rf"Port {port} on 127\.0\.0\.1 is taken.*PORT="):
            cluster._require_free_port(port)
    cluster._require_free_port(port)


@pytest.mark.parametrize("text", ["two", "0", "99"])
def test_a_number_of_workers_that_makes_no_sense_is_refused(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKERS", text)
    with pytest.raises(UserError, match=f"WORKERS={text} isn't a whole number from 1 to 5"):
        cluster._number("WORKERS", 1, 1, 5)


def test_an_unknown_source_of_images_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMAGES", "dockerhub")
    with pytest.raises(UserError, match="neither `registry` nor `build`"):
        images.choose.__wrapped__()


def test_without_a_registry_images_are_built_unless_the_registry_was_asked_for(
    empty_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _program(empty_path, "docker", 'case "$1" in pull) echo "no such host" >&2; exit 1;; esac')
    monkeypatch.delenv("IMAGES", raising=False)
    assert images.choose.__wrapped__() == "build"
    assert "No image registry can be reached (no such host)" in capsys.readouterr().out
    monkeypatch.setenv("IMAGES", "registry")
    with pytest.raises(UserError, match=r"can't be pulled \(no such host\).*IMAGES=build"):
        images.choose.__wrapped__()


@pytest.fixture
def deleted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the clusters that were deleted, instead of deleting any."""
    names: list[str] = []
    monkeypatch.setattr(cluster, "_delete", lambda: names.append(cluster.NAME))
    return names


def _found(
    monkeypatch: pytest.MonkeyPatch, containers: dict[str, str], state: cluster.State | None, running: str
) -> None:
    monkeypatch.setattr(cluster, "_containers", lambda: containers)
    monkeypatch.setattr(cluster, "read_state", lambda: state)
    monkeypatch.setattr(cluster, "run", lambda *_, **__: running)


@pytest.mark.parametrize("state", [None, cluster.State("build", 1, 8000, {"node": "another-id"})])
def test_a_cluster_that_is_not_ours_is_left_alone(
    state: cluster.State | None, deleted: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    _found(monkeypatch, {"node": "id"}, state, "id")
    with pytest.raises(UserError, match="this project didn't make"):
        cluster._existing()
    assert deleted == []


@pytest.mark.parametrize(("nodes", "running"), [({}, "id"), ({"node": "id"}, "")])
def test_a_cluster_of_ours_that_is_half_made_or_stopped_is_made_anew(
    nodes: dict[str, str], running: str, deleted: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    _found(monkeypatch, {"node": "id"}, cluster.State("build", 1, 8000, nodes), running)
    assert cluster._existing() is None
    assert deleted == [cluster.NAME]


def test_a_cluster_of_another_shape_is_not_thrown_away_unasked(
    deleted: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKERS", "2")
    _found(monkeypatch, {"node": "id"}, cluster.State("build", 1, 8000, {"node": "id"}), "id")
    with pytest.raises(UserError, match=r"has 1 worker\(s\): run `make cluster-down` first to get 2"):
        cluster._existing()
    assert deleted == []


def test_a_product_that_fails_half_way_leaves_nothing(tmp_path: Path) -> None:
    def fail() -> None:
        with common.product(tmp_path / "image.tar") as scratch:
            scratch.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert list(tmp_path.iterdir()) == []


def test_a_product_clears_away_what_a_killed_process_left(tmp_path: Path) -> None:
    (tmp_path / ".image.tar.4194999.abc").mkdir()  # above the highest process id
    with common.product(tmp_path / "image.tar") as scratch:
        scratch.write_text("whole")
    assert [path.name for path in tmp_path.iterdir()] == ["image.tar"]


def test_a_model_with_a_changed_byte_is_refused_by_file_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sums = tmp_path / "sums"
    sums.write_text("# comment\n" + "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824  config.json\n")
    monkeypatch.setattr(model_image, "_CHECKSUMS", sums)
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text("hello")
    model_image.check(folder)
    (folder / "config.json").write_text("hellO")
    with pytest.raises(UserError, match=r"config\.json differ"):
        model_image.check(folder)


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (UserError("Port 1 is taken: choose another."), 1, "✗ Port 1 is taken: choose another."),
        (KeyboardInterrupt(), 130, "Interrupted. Nothing half-made is kept"),
    ],
)
def test_a_command_ends_in_a_sentence_and_no_traceback(
    error: BaseException, code: int, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def command() -> None:
        raise error

    with pytest.raises(SystemExit) as end:
        main(command)
    assert end.value.code == code
    output = capsys.readouterr().err
    assert text in output
    assert "Traceback" not in output


def test_a_failed_program_shows_the_end_of_what_it_printed() -> None:
    with pytest.raises(CommandError, match=r"failed \(3\):\n    the reason"):
        process.run(["sh", "-c", "echo the reason >&2; exit 3"])


def test_a_command_that_is_given_up_ends_what_other_threads_have_running(tmp_path: Path) -> None:
    survivor = tmp_path / "survivor"
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(process.run, ["sh", "-c", f"(sleep 1; touch {survivor}) & wait"])
        while not process._programs:
            time.sleep(0.01)
        process.end_programs()
        with pytest.raises(CommandError):
            running.result()
    time.sleep(1.5)
    assert not survivor.exists(), "a grandchild went on"
