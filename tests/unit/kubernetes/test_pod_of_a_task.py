"""The pod of a task as Airflow's KubernetesExecutor makes it from these values, and the values as helm reads them.

The official chart is not here, so a small chart of these tests puts the values where the official one puts them; it stands for
the chart's syntax and placement, not for the chart. `HELM_BIN` names helm, or it is on PATH.
"""

from __future__ import annotations

import configparser
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from perfproof.strict_yaml import read_yaml

ROOT = Path(__file__).parents[3]
FILE = ROOT / "kubernetes" / "values.yaml"
VALUES = read_yaml(FILE.read_bytes(), where="values.yaml")
IMAGE = f"{VALUES['defaultAirflowRepository']}:{VALUES['defaultAirflowTag']}"
WORKLOAD = ["python", "-m", "airflow.sdk.execution_time.execute_workload", "--json-string", "{}"]
CHART_FILES = {
    "Chart.yaml": "apiVersion: v2\nname: placement\nversion: 0.0.1\ndescription: where values go\nicon: file://none\n",
    "templates/_names.tpl": '{{- define "airflow.fullname" -}}{{ .Release.Name }}{{- end }}\n',
    "templates/configuration.yaml": """\
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ include "airflow.fullname" . }}-config
data:
  airflow.cfg: |-
    {{- range $section, $settings := .Values.config }}
    [{{ $section }}]
    {{- range $key, $value := $settings }}
    {{ $key }} = {{ tpl ($value | toString) $ }}
    {{- end }}
    {{- end }}
""",
    "templates/pod.yaml": """\
apiVersion: v1
kind: Pod
metadata:
  name: placeholder-name
spec:
  restartPolicy: Never
  securityContext: {{- toYaml .Values.securityContexts.pod | nindent 4 }}
  terminationGracePeriodSeconds: {{ .Values.workers.terminationGracePeriodSeconds }}
  containers:
    - name: base
      image: {{ printf "%s:%s" .Values.defaultAirflowRepository .Values.defaultAirflowTag }}
      env: {{- toYaml .Values.env | nindent 8 }}
      securityContext: {{- toYaml .Values.securityContexts.containers | nindent 8 }}
      resources: {{- toYaml .Values.workers.resources | nindent 8 }}
      volumeMounts: {{- toYaml .Values.volumeMounts | nindent 8 }}
  volumes: {{- toYaml .Values.volumes | nindent 4 }}
""",
}


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What helm makes of the small chart with these values; it must also pass `helm lint --strict`."""
    helm = os.environ.get("HELM_BIN") or shutil.which("helm")
    if helm is None:
        pytest.skip("no helm: name it by HELM_BIN, or put it on PATH")
    chart = tmp_path_factory.mktemp("placement")
    for name, text in CHART_FILES.items():
        (chart / name).parent.mkdir(exist_ok=True)
        (chart / name).write_text(text)
    surroundings = {**os.environ, "HOME": str(chart), "HELM_CACHE_HOME": str(chart / "cache")}
    for command in (["lint", "--strict", str(chart)], ["template", "perfproof", str(chart)]):
        done = subprocess.run([helm, *command, "-f", str(FILE)], env=surroundings, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    return [document for document in yaml.safe_load_all(done.stdout) if document]


def template_pod() -> dict[str, Any]:
    """The pod template as the chart builds it from `workers` and what holds for all pods."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "placeholder-name"},
        "spec": {
            "restartPolicy": "Never",
            "securityContext": VALUES["securityContexts"]["pod"],
            "terminationGracePeriodSeconds": VALUES["workers"]["terminationGracePeriodSeconds"],
            "containers": [
                {
                    "name": "base",
                    "image": IMAGE,
                    "env": VALUES["env"],
                    "securityContext": VALUES["securityContexts"]["containers"],
                    "resources": VALUES["workers"]["resources"],
                    "volumeMounts": VALUES["volumeMounts"],
                }
            ],
            "volumes": VALUES["volumes"],
        },
    }


def test_executor_makes_a_hardened_pod_of_it() -> None:
    """Airflow's own code keeps user, read-only root, limits, volumes and time to end, and adds the task's command and labels."""
    generator = pytest.importorskip("airflow.providers.cncf.kubernetes.pod_generator").PodGenerator
    pod = generator.construct_pod(
        dag_id="performance_optimization",
        task_id="phase_2.load_peak",
        pod_id="load-peak-1",
        try_number=1,
        kube_image=IMAGE,
        date=None,
        args=WORKLOAD,
        pod_override_object=None,
        base_worker_pod=generator.deserialize_model_dict(template_pod()),
        namespace="perfproof",
        scheduler_job_id="1",
        run_id="manual",
        map_index=-1,
    )
    made = generator.serialize_pod(pod)
    spec, (container,) = made["spec"], made["spec"]["containers"]
    assert made["metadata"]["namespace"] == "perfproof"
    assert made["metadata"]["labels"]["dag_id"] == "performance_optimization"
    assert (container["name"], container["image"], container["args"]) == ("base", IMAGE, WORKLOAD)
    # The image has no entry point, so that these words are what runs.
    assert "command" not in container
    assert "ENTRYPOINT" not in (ROOT / "Dockerfile").read_text()
    # As they went in: an unknown key would have been lost on the way through the client's own classes.
    assert spec["securityContext"] == VALUES["securityContexts"]["pod"]
    assert container["securityContext"] == VALUES["securityContexts"]["containers"]
    assert container["resources"] == VALUES["workers"]["resources"]
    assert container["volumeMounts"] == VALUES["volumeMounts"]
    assert spec["volumes"] == VALUES["volumes"]
    assert spec["terminationGracePeriodSeconds"] == 180
    assert spec["restartPolicy"] == "Never"


def test_helm_reads_the_values(rendered: list[dict[str, Any]]) -> None:
    """Its own YAML and templates give the pod that the test above starts from, and a configuration file that Airflow can read."""
    (pod,) = (document for document in rendered if document["kind"] == "Pod")
    assert pod == template_pod()
    (configuration,) = (document for document in rendered if document["kind"] == "ConfigMap")
    parser = configparser.ConfigParser(interpolation=None)
    parser.read_string(configuration["data"]["airflow.cfg"])
    assert {section: set(parser[section]) for section in parser.sections()} == {
        section: set(body) for section, body in VALUES["config"].items()
    }
    assert parser["core"]["execution_api_server_url"] == "http://perfproof-api-server:8080/execution/"
    assert parser["perfproof"]["evidence_uri"] == VALUES["config"]["perfproof"]["evidence_uri"]
