"""Holds what the chart renders, and compose.yaml, against their schemas, against what Kubernetes calls restricted, and against
each other: judge.py BINARY"""
import json, pathlib, subprocess, sys, tempfile, tomllib, urllib.parse, zipfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
JUDGES = ROOT / "target/judges/kubernetes"
sys.path.insert(0, str(JUDGES / "python"))
import jsonschema_rs, yaml

CHART = ROOT / "packaging/helm/engage-host"
VALUES = ROOT / "packaging/kubernetes/values.yaml"
# The chart's `kubeVersion`, and the newest.
VERSIONS = ["1.30.0", "1.37.0"]

CONFIG = {"base_url": "http://10.44.68.128", "devices": {"database_url": "postgres://engage@db.example.com/engage"}}
ALL_VALUES = {
    "config": {
        "access": {"allow": ["10.44.0.0/16"]},
        "devices": {"database_url": "postgres://engage@db.example.com:5433/engage"},
        "limits": {"drain_seconds": 40, "body_memory_bytes": 1073741824},
        "otlp": {"endpoint": "http://collector.example.com:4318/v1/traces"},
        "webhook": {"url": "https://acs.example.com/engage/events", "secret_file": "pki/webhook.secret"},
    },
    "sites": [
        {"name": "Main Office", "key": "site.key", "certificate": "partner_CA.der"},
        {"name": 'The "Annex"', "key": "site.key", "certificate": "partner_CA.der", "hosts": ["annex.example.com"], "serials": ["0123456789ABCDEF"]},
    ],
    "files": [
        {"secret": "engage-host-database", "key": "ca.pem", "path": "database/ca.pem"},
        {"secret": "engage-host-webhook", "key": "secret", "path": "pki/webhook.secret"},
    ],
    "image": {"repository": "10.44.0.9:5000/engage-host", "tag": "1.2.3"},
    "imagePullSecrets": [{"name": "registry"}],
    "service": {"type": "LoadBalancer", "loadBalancerIP": "10.44.68.128", "annotations": {"metallb.io/address-pool": "doors"}},
    "networkPolicy": {"receivers": [{"ipBlock": {"cidr": "10.44.0.30/32"}}]},
    "podAnnotations": {"a": "b"},
    "nodeSelector": {"zone": "doors"},
    "tolerations": [{"operator": "Exists"}],
    "replicas": 3,
}


def main(binary):
    schemas = Schemas()
    lint()
    with tempfile.TemporaryDirectory() as work:
        everything = pathlib.Path(work, "everything.json")
        everything.write_text(json.dumps(ALL_VALUES))
        for values in ([VALUES], [VALUES, everything]):
            resources = list(yaml.safe_load_all(helm("template", "engage-host", CHART, "--namespace", "engage-host", *given(values))))
            judge(resources, schemas)
            judge_configuration(resources, binary, pathlib.Path(work, f"of-{len(values)}"))
    plain = ROOT / "packaging/kubernetes"
    for it in ("namespace.yaml", "engage-host.yaml"):
        for resource in yaml.safe_load_all((plain / it).read_text()):
            schemas.judge(resource)
    rendered = subprocess.run([plain / "render"], check=True, capture_output=True, text=True).stdout
    assert rendered == (plain / "engage-host.yaml").read_text(), "engage-host.yaml is not what packaging/kubernetes/render prints"
    refused_values()
    schemas.can_fail()
    compose()
    print("kubernetes: chart, manifests and compose.yaml are well-formed, and agree")


def helm(*arguments):
    run = subprocess.run([JUDGES / "helm", *arguments], capture_output=True, text=True)
    assert run.returncode == 0, f"helm {' '.join(map(str, arguments))}: {run.stderr}{run.stdout}"
    return run.stdout


def given(values):
    return [it for file in values for it in ("--values", file)]


def lint():
    helm("lint", "--strict", CHART, *given([VALUES]))
    version = tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]["package"]["version"]
    assert yaml.safe_load((CHART / "Chart.yaml").read_text())["appVersion"] == version, "the chart is of another version"


class Schemas:
    def __init__(self):
        archive = zipfile.ZipFile(next(JUDGES.glob("kubernetes_validate-*.whl")))
        self.archive = archive
        self.definitions = {}
        for version in VERSIONS:
            definitions = json.loads(archive.read(self.path(version, "_definitions")))
            self.definitions[version] = jsonschema_rs.Registry([(definitions["$id"], definitions)])

    def path(self, version, name):
        return f"kubernetes_validate/kubernetes-json-schema/v{version}-local-strict/{name}.json"

    def judge(self, resource):
        group, _, api = resource["apiVersion"].rpartition("/")
        name = "-".join(filter(None, [resource["kind"].lower(), group.split(".")[0], api]))
        for version, definitions in self.definitions.items():
            schema = json.loads(self.archive.read(self.path(version, name)))
            errors = complaints(jsonschema_rs.validator_for(schema, registry=definitions), resource)
            assert not errors, f"{resource['kind']} {resource['metadata']['name']}, Kubernetes {version}: {errors}"

    def can_fail(self):
        wrong = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"}, "spec": {"port": [80]}}
        try:
            self.judge(wrong)
        except AssertionError:
            return
        raise AssertionError("a Service with a field of another name passes: the schemas judge nothing")


def complaints(validator, document):
    return [f"{'.'.join(map(str, it.instance_path))}: {it.message}" for it in validator.iter_errors(document)]


def judge(resources, schemas):
    for it in resources:
        schemas.judge(it)
    of_kind = {}
    for it in resources:
        of_kind.setdefault(it["kind"], []).append(it)
    deployment, = of_kind["Deployment"]
    template = deployment["spec"]["template"]
    pod, labels = template["spec"], template["metadata"]["labels"]
    restricted(pod)
    ports = {it["name"] for it in pod["containers"][0]["ports"]}
    selectors = [it["spec"]["selector"] for it in of_kind["Service"]]
    selectors += [deployment["spec"]["selector"]["matchLabels"]]
    selectors += [it["spec"]["selector"]["matchLabels"] for it in of_kind["PodDisruptionBudget"]]
    selectors += [it["spec"]["podSelector"]["matchLabels"] for it in of_kind["NetworkPolicy"]]
    selectors += [it["labelSelector"]["matchLabels"] for it in pod["topologySpreadConstraints"]]
    for it in selectors:
        assert it and it.items() <= labels.items(), f"{it} selects other pods than {labels}"
    named = [it["targetPort"] for service in of_kind["Service"] for it in service["spec"]["ports"]]
    named += [it["port"] for policy in of_kind["NetworkPolicy"] for rule in policy["spec"]["ingress"] for it in rule["ports"]]
    named += [pod["containers"][0][it]["httpGet"]["port"] for it in ("readinessProbe", "livenessProbe")]
    assert set(named) == ports, f"{named} are not the ports {ports}"
    config = tomllib.loads(configuration(resources))
    urls = [config["devices"]["database_url"], *(config.get(it, {}).get(key) for it, key in (("webhook", "url"), ("otlp", "endpoint")))]
    wanted = {port_of(it) for it in urls if it} | {53}
    policy, = of_kind["NetworkPolicy"]
    reached = {it["port"] for rule in policy["spec"]["egress"] for it in rule["ports"]}
    assert reached == wanted, f"pods may reach the ports {reached}, and are to reach {wanted}"
    drain = config["limits"]["drain_seconds"]
    sleep = pod["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert pod["terminationGracePeriodSeconds"] >= drain + sleep + 5, "a drain would be killed"


def port_of(url):
    parts = urllib.parse.urlsplit(url)
    return parts.port or {"http": 80, "https": 443, "postgres": 5432}[parts.scheme]


# https://kubernetes.io/docs/concepts/security/pod-security-standards, and more.
def restricted(pod):
    outer = pod["securityContext"]
    assert outer["runAsNonRoot"] and outer["seccompProfile"]["type"] == "RuntimeDefault"
    assert not pod["automountServiceAccountToken"]
    assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys()
    assert all(set(it) - {"name"} <= {"projected", "emptyDir"} for it in pod["volumes"]), pod["volumes"]
    for container in pod["containers"]:
        inner = container["securityContext"]
        assert inner["allowPrivilegeEscalation"] is False and inner["readOnlyRootFilesystem"] is True
        assert inner["capabilities"] == {"drop": ["ALL"]}
        assert container["resources"]["limits"]["memory"] and container["resources"]["requests"]


def configuration(resources):
    return next(it for it in resources if it["kind"] == "ConfigMap")["data"]["config.toml"]


# The daemon's own judgement, with what a volume of these Secrets would hold. Only the database is not there.
def judge_configuration(resources, binary, folder):
    subprocess.run([binary, "init", "--dir", folder, "--host", "10.44.68.128"], check=True, capture_output=True)
    (folder / "config.toml").write_text(configuration(resources).replace("/var/lib/engage-host", str(folder / "Engage_Data")))
    deployment = next(it for it in resources if it["kind"] == "Deployment")
    volume = next(it for it in deployment["spec"]["template"]["spec"]["volumes"] if it["name"] == "config")
    projected = [item["path"] for source in volume["projected"]["sources"] for item in next(iter(source.values()))["items"]]
    assert len(projected) == len(set(projected)), f"two files of one name: {projected}"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=admin", "-days", "2", "-keyout", folder / "tls.key", "-out", folder / "tls.crt"], check=True, capture_output=True)
    contents = {"tls.key": "tls.key", "tls.crt": "tls.crt", "ca.pem": "tls.crt"}
    for path in projected:
        target = folder / path
        if not target.exists():
            target.parent.mkdir(exist_ok=True)
            source = contents.get(target.name)
            target.write_text((folder / source).read_text() if source else "0123456789abcdef")
        target.chmod(0o440)
    kept = {folder / it for it in projected} | {folder / "Engage_Data"}
    for it in folder.rglob("*"):
        if it.is_file() and it not in kept:
            it.unlink()
    checked = subprocess.run([binary, "check", "--json", "--config", folder / "config.toml"], capture_output=True, text=True)
    report = json.loads(checked.stdout)
    codes = [it["code"] for it in report.get("refusals", report)]
    assert codes == ["database-unusable"], f"{configuration(resources)}\n{checked.stdout}{checked.stderr}"


def refused_values():
    for values, word in (
        ({}, "config.base_url is missing"),
        ({"config": {"base_url": "http://10.44.68.128"}}, "database_url is missing"),
        ({"replica": 3}, "replica"),
        ({"secrets": {"pkey": "x"}}, "pkey"),
        ({"config": {"http": {"listen": "0.0.0.0:80"}}}, "http"),
        ({"sites": []}, "sites"),
        ({"config": CONFIG, "service": {"externalTrafficPolicy": "Cluster"}}, "under the addresses of nodes"),
        ({"config": CONFIG, "service": {"type": "ClusterIP"}}, "under the addresses of nodes"),
        ({"config": CONFIG | {"devices": {"database_url": "sqlite:engage-host.db"}}}, "database_url"),
    ):
        run = render(values)
        assert run.returncode != 0 and word in run.stderr, f"{values}: {run.returncode} {run.stderr}"
    run = render({"config": CONFIG})
    assert run.returncode == 0, run.stderr


def render(values):
    return subprocess.run([JUDGES / "helm", "template", "a", CHART, "--values", "-"], input=json.dumps(values), capture_output=True, text=True)


def compose():
    schema = json.loads((JUDGES / "schema.json").read_text())
    document = yaml.safe_load((ROOT / "packaging/container/compose.yaml").read_text())
    validator = jsonschema_rs.validator_for(schema)
    # The schema is older than the top-level `name`.
    document.pop("name")
    errors = complaints(validator, document)
    assert not errors, errors
    assert not validator.is_valid({"services": {"a": {"port": ["80:80"]}}}), "the schema of compose judges nothing"
    host = document["services"]["engage-host"]
    assert host["read_only"] and host["cap_drop"] == ["ALL"] and host["security_opt"] == ["no-new-privileges:true"]
    named = {it.split(":")[0] for service in document["services"].values() for it in service["volumes"] if not it.startswith("./")}
    assert named == set(document["volumes"]), f"{named} are not the volumes"
    test = next(it for it in (ROOT / "packaging/container/Containerfile").read_text().splitlines() if it.strip().startswith("CMD [") and "healthcheck" in it)
    assert ["CMD", *json.loads(test.strip().removeprefix("CMD "))] == host["healthcheck"]["test"], "compose.yaml and the image have two health checks"


main(pathlib.Path(sys.argv[1]).resolve())
