package settings

import "github.com/deployguardian/adg/internal/intake"

// Bound is the webhook as it is checked when a request comes in.
func (w Webhook) Bound() intake.Webhook {
	return intake.Webhook{
		Kind: w.Type, Secret: w.Secret, Before: w.Before, Rules: w.Rules,
		Binding: intake.Binding{Service: w.Service, Environment: w.Environment, Ref: w.Ref},
	}
}

// Binding is what may be announced through the broker.
func (i Intake) Binding() intake.Binding {
	return intake.Binding{Service: i.Service, Environment: i.Environment}
}
