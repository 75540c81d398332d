"""Has schemathesis ask the API whatever its document allows, and some that it does not, as four callers."""

import json
import os
import pathlib
import re
import subprocess
import sys
import urllib.request
from concurrent.futures import ThreadPoolExecutor

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))
import judges  # noqa: E402

REPORTS = pathlib.Path("target/api").resolve()

# What callers without a token that counts are answered.
REFUSED = {401, 429}
CALLERS = ["write", "read", "none", "wrong"]
EXAMPLES = 8
SECONDS = 600

# `ignored_auth` asks with wrong tokens in between, and is throttled for it; two callers of their own do that.
CHECKS = ",".join([
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "allow_header_conformance",
])


def main():
    REPORTS.mkdir(parents=True, exist_ok=True)
    # They compute more than the daemon does.
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        failures = [failure for failed in pool.map(ask, CALLERS) for failure in failed]
    for failure in failures:
        print(failure)
    print(f"api: {len(CALLERS) - len(failures)} passed, {len(failures)} failed")
    sys.exit(1 if failures else 0)


def ask(caller):
    """On a host of its own: what one changes or is throttled for is not another's affair."""
    with judges.host(sys.argv[1]) as host:
        fill(host)
        tokens = {role: host.token(role, role) for role in ["write", "read"]}
        tokens["wrong"] = "engage_" + "A" * 43
        with host.serving():
            return run(host, caller, tokens.get(caller), tokens["read"])


def fill(host):
    """Twenty locks that have called in once."""
    with host.serving():
        host.command("simulate", host.http, "--https", host.https, "--devices", "20", "--window", "1s",
                     "--site-key-file", str(next(host.folder.glob("pki/*site.key"))))


def run(host, caller, token, reader):
    document = REPORTS / f"{caller}.openapi.json"
    document.write_bytes(get(f"{host.admin}/api/openapi.json", reader))
    har = REPORTS / f"{caller}.har"
    har.unlink(missing_ok=True)
    command = [
        f"{sys.prefix}/bin/schemathesis", "run", str(document), "--url", host.admin,
        "--checks", CHECKS, "--max-examples", str(EXAMPLES), "--request-timeout", "30",
        "--phases", "examples,coverage,fuzzing", "--workers", "1", "--no-shrink", "--generation-deterministic",
        "--continue-on-failure", "--warnings", "off", "--no-color",
        "--report", "har", "--report-har-path", str(har),
    ]
    if token:
        command += ["--header", f"Authorization: Bearer {token}"]
    with open(REPORTS / f"{caller}.txt", "w", encoding="utf-8") as report:
        ended = subprocess.run(command, stdout=report, stderr=subprocess.STDOUT, timeout=SECONDS, cwd=REPORTS)
    said = (REPORTS / f"{caller}.txt").read_text(encoding="utf-8")
    if ended.returncode != 0:
        return [f"{said}\n{caller}: schemathesis ended with {ended.returncode}"]
    return judge(caller, json.loads(har.read_text(encoding="utf-8"))["log"]["entries"])


def get(url, token):
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return answer.read()


def judge(caller, entries):
    """That it was asked at all, and that nobody got more than the token allows."""
    answers = {}
    for entry in entries:
        request, status = entry["request"], entry["response"]["status"]
        path = re.sub(r"^https?://[^/]+", "", request["url"])
        if path.startswith("/api/v1/"):
            answers.setdefault((request["method"], status), []).append(path)
    print(f"{caller}: " + ", ".join(f"{method} {status}: {len(paths)}" for (method, status), paths in
                                     sorted(answers.items())))
    taken = {key: paths for key, paths in answers.items() if key[1] < 400}
    if caller in ("none", "wrong"):
        wrong = [key for key in answers if key[1] not in REFUSED]
    elif caller == "read":
        wrong = [key for key in taken if key[0] not in ("GET", "HEAD", "OPTIONS")]
    else:
        wrong = []
    if wrong:
        return [f"{caller}: was answered {wrong}"]
    methods = {method for method, _ in taken}
    wanted = {"write": {"GET", "POST"}, "read": {"GET"}}.get(caller, set())
    if not answers or not wanted <= methods:
        return [f"{caller}: hardly anything was taken, so nothing was judged: {sorted(answers)}"]
    return []


main()
