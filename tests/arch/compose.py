#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""deploy/docker-compose.yml keeps to the Compose Specification's schema and to this project's rules."""
import json
import pathlib
import stat
import subprocess
import sys
import tempfile

try:
    import jsonschema
    import yaml
except ImportError as missing:
    print(f"SKIP compose: {missing.name} is missing; deploy/install-deps.sh test installs it")
    sys.exit(0)

ROOT = pathlib.Path(__file__).resolve().parents[2]
APP = {"migrate", "server", "worker"}


def schema_findings(compose, schema):
    return [f"{'/'.join(map(str, e.absolute_path))}: {e.message}"
            for e in jsonschema.Draft7Validator(schema).iter_errors(compose)]


def service_secrets(service):
    return set(service.get("secrets", []))


def rule_findings(compose):
    found = []
    services = compose["services"]

    def need(holds, what):
        if not holds:
            found.append(what)

    need(set(services) == APP | {"postgres", "redis"}, f"services are {sorted(services)}")
    for name, service in services.items():
        need(service.get("read_only") is True, f"{name}: read_only")
        need(service.get("cap_drop") == ["ALL"], f"{name}: cap_drop ALL")
        need("cap_add" not in service and not service.get("privileged"), f"{name}: no capability is given back")
        need("no-new-privileges:true" in service.get("security_opt", []), f"{name}: no-new-privileges")
        need(name == "migrate" or "healthcheck" in service, f"{name}: healthcheck")
        for bound in ("mem_limit", "pids_limit", "cpus", "logging"):
            need(bound in service, f"{name}: {bound}")
        need(not any("pass" in word for word in service.get("command", [])), f"{name}: a password on the command line")
        need(name == "server" or "ports" not in service, f"{name}: publishes no port")
        need(name in APP or str(service.get("user", "0"))[0] != "0", f"{name}: not as root")
        need(name == "server" or service["networks"] == ["inside"], f"{name}: only on the inner network")
        for key in service.get("environment", {}):
            need(not any(word in key for word in ("PASSWORD", "TOKEN", "DB_URL")) or key.endswith("_FILE"),
                 f"{name}: {key} is a secret outside a file")
        for secret in service.get("secrets", []):
            need("file" in compose["secrets"].get(secret, {}), f"{name}: secret {secret} comes from a file")
    need(compose["networks"]["inside"].get("internal") is True, "the inner network is internal")
    need(services["postgres"]["image"] == "postgres:15" and services["redis"]["image"] == "redis:7", "versions")
    for name in sorted(APP):
        own = f"{name}_db_url"
        need(service_secrets(services[name]) & {f"{app}_db_url" for app in APP} == {own}, f"{name}: has {own} and no other's")
        need(services[name]["environment"].get("PROXACT_DB_URL_FILE") == f"/run/secrets/{own}", f"{name}: reads {own}")
    need("redis_conf" in service_secrets(services["redis"]), "redis: asks for a password")
    need("container_name" not in services["worker"], "worker: a fixed name forbids --scale")
    need(services["migrate"].get("restart") == "no", "migrate: runs once")
    for name in ("server", "worker"):
        need(services[name]["depends_on"]["migrate"]["condition"] == "service_completed_successfully",
             f"{name}: waits for the migration")
    need(all(port.startswith("127.0.0.1:") for port in services["server"]["ports"]), "server: published to this host only")
    dockerfile = ROOT / "deploy" / services["server"]["build"]["context"] / services["server"]["build"]["dockerfile"]
    users = [line.split()[1] for line in dockerfile.read_text().splitlines() if line.startswith("USER ")]
    need(users and users[-1].split(":")[0] not in ("0", "root"), "Dockerfile: ends as an ordinary user")
    return found


def secrets_findings(compose):
    """make-secrets.sh makes exactly the files that the compose file names, and never overwrites them."""
    with tempfile.TemporaryDirectory() as tmp:
        folder = pathlib.Path(tmp) / "secrets"
        command = [ROOT / "deploy/make-secrets.sh", folder]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        found = []
        if {p.name for p in folder.iterdir()} != {pathlib.Path(s["file"]).name for s in compose["secrets"].values()}:
            found.append("make-secrets.sh writes other files than the compose file names")
        if stat.S_IMODE(folder.stat().st_mode) != 0o700:
            found.append("make-secrets.sh leaves its folder open to others")
        password = (folder / "db_password").read_text()
        if subprocess.run(command, stderr=subprocess.DEVNULL).returncode == 0 or \
                (folder / "db_password").read_text() != password:
            found.append("make-secrets.sh overwrites a password in use")
        return found


def main():
    compose = yaml.safe_load((ROOT / "deploy/docker-compose.yml").read_text())
    schema = json.loads((ROOT / "tests/arch/compose-spec.json").read_text())
    found = schema_findings(compose, schema) + rule_findings(compose) + secrets_findings(compose)
    # The checks themselves can fail: a broken copy is found out by each of the first two.
    broken = yaml.safe_load((ROOT / "deploy/docker-compose.yml").read_text())
    broken["services"]["redis"]["ports"] = ["6379:6379"]
    broken["services"]["worker"]["helthcheck"] = {}
    if len(rule_findings(broken)) != len(rule_findings(compose)) + 1:
        found.append("a published database port is not noticed")
    if not schema_findings(broken, schema):
        found.append("an unknown key is not noticed")
    if found:
        print("\n".join(found))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
