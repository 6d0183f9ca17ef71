# Tells adg what became of each host, as one JSON document, when a run of ansible-playbook has come to its end. What the
# run prints is for people; this is what adg reads. It is given to ansible by ANSIBLE_CALLBACK_PLUGINS for that run only.
import json
import os

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: adg_report
type: aggregate
short_description: Tells adg what became of each host.
description: Writes the recap, the last failure and the custom statistics of each host to the file that ADG_REPORT names.
"""

LONGEST = 1000


def part(result, name):
    """A part of a result by its name, which has lost its underscore in newer releases."""
    found = getattr(result, name, None)
    return found if found is not None else getattr(result, "_" + name)


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "adg_report"
    CALLBACK_NEEDS_ENABLED = False

    def __init__(self):
        super().__init__()
        self.failed = {}

    def v2_runner_on_failed(self, result, ignore_errors=False):
        if not ignore_errors:
            self.note(result)

    def v2_runner_on_unreachable(self, result):
        self.note(result)

    def v2_playbook_on_stats(self, stats):
        hosts = {}
        for name in stats.processed:
            counts = stats.summarize(name)
            hosts[name] = {key: counts[key] for key in ("ok", "changed", "failures", "unreachable")}
            hosts[name].update(self.failed.get(name, {}))
            hosts[name]["live"] = stats.custom.get(name, {}).get("adg_live")
        report = {"hosts": hosts, "live": stats.custom.get("_run", {}).get("adg_live")}
        path = os.environ["ADG_REPORT"]
        with open(path + ".new", "w", encoding="utf-8") as file:
            json.dump(report, file, default=str)
        os.rename(path + ".new", path)

    def note(self, result):
        said = part(result, "result")
        why = [str(said[key]).strip() for key in ("msg", "stderr", "censored") if said.get(key)]
        self.failed[part(result, "host").get_name()] = {
            "task": str(part(result, "task").get_name())[:LONGEST],
            "said": ": ".join(why)[:LONGEST],
        }
