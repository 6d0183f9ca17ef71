package wire

import (
	"slices"

	"github.com/deployguardian/adg/internal/control"
	adgv1 "github.com/deployguardian/adg/proto/adg/v1"
)

// Setting is one setting of the server in force.
func Setting(s control.Setting) *adgv1.Setting {
	return &adgv1.Setting{Path: text(s.Path), Value: text(s.Value), Origin: text(s.Origin), Text: text(s.Text), Secret: s.Secret}
}

// Replica is one of the servers that share the store.
func Replica(r control.Replica) *adgv1.Replica {
	return &adgv1.Replica{
		Name: text(r.Name), Version: text(r.Version), StartTime: Timestamp(r.Started), SeenTime: Timestamp(r.Seen),
		Deployments: count(r.Deployments), Lateness: Duration(r.Lateness),
	}
}

// Feature is something that the server may offer.
func Feature(f control.Feature) *adgv1.Feature {
	return &adgv1.Feature{Name: text(f.Name), Enabled: f.Enabled, Text: text(f.Text)}
}

// Setup is what is left to do on a new server, and whether the demo can be started there.
func Setup(steps []control.Step, demo bool) *adgv1.Setup {
	return &adgv1.Setup{
		Complete: !slices.ContainsFunc(steps, func(s control.Step) bool { return !s.Done }), DemoAvailable: demo,
		Steps: each(steps, func(s control.Step) *adgv1.SetupStep {
			return &adgv1.SetupStep{Name: text(s.Name), Text: text(s.Text), Done: s.Done, Example: text(s.Example)}
		}),
	}
}

// ReadDemoFault is the name of a fault of the demo's bad release.
func ReadDemoFault(f adgv1.DemoFault) (string, error) {
	if name, known := demoFaults[f]; known {
		return name, nil
	}
	return "", Wrong("fault", "there is no fault %d: choose none, errors, latency, crash, silent, leak or log", f)
}

// Private

var demoFaults = map[adgv1.DemoFault]string{
	adgv1.DemoFault_DEMO_FAULT_UNSPECIFIED: "errors",
	adgv1.DemoFault_DEMO_FAULT_NONE:        "none",
	adgv1.DemoFault_DEMO_FAULT_ERRORS:      "errors",
	adgv1.DemoFault_DEMO_FAULT_LATENCY:     "latency",
	adgv1.DemoFault_DEMO_FAULT_CRASH:       "crash",
	adgv1.DemoFault_DEMO_FAULT_SILENT:      "silent",
	adgv1.DemoFault_DEMO_FAULT_LEAK:        "leak",
	adgv1.DemoFault_DEMO_FAULT_LOG:         "log",
}
