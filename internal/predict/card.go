package predict

import "fmt"

// Card says what a model was made of and how good it was, on deployments that it had not seen.
type Card struct {
	Outcomes    int      `json:"outcomes"`
	Failed      int      `json:"failed"`
	Counted     string   `json:"counted,omitempty"` // what counted as failed, in words, where whoever trained it says so
	Features    []string `json:"features"`
	Fingerprint string   `json:"fingerprint"` // SHA-256 over the outcomes in their order
	Seed        uint64   `json:"seed"`
	Judged      int      `json:"judged"` // how many of the last predictions Score and Plot are about
	Score       Score    `json:"score"`
	Plot        []Step   `json:"plot"` // calibration
	Better      bool     `json:"better_than_base_rate"`
	Gain        float64  `json:"gain"` // log-loss per deployment less than the base rate's, in nats
}

// Standing says in words whether the model earns being listened to.
func (c Card) Standing() string {
	switch {
	case c.Outcomes == 0:
		return "no outcomes yet: the answer comes from what other repositories teach"
	case !c.Better:
		return fmt.Sprintf("not yet better than your base rate (%d outcomes, %d failures)", c.Outcomes, c.Failed)
	default:
		return fmt.Sprintf("better than your base rate (%d outcomes, %d failures)", c.Outcomes, c.Failed)
	}
}
