package judge

// What a sequential check promises where its policy does not say.
const (
	usualAlpha  = 0.01
	usualRatio  = 1.0
	usualNotBy  = 1.5
	usualBeta   = 0.05
	usualDetect = 3.0
	usualPower  = 0.9
)

func orElse(v, usual float64) float64 {
	if v > 0 {
		return v
	}
	return usual
}
