package adg

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Operator is how a condition compares.
type Operator uint8

// The operators. The zero value belongs to no condition.
const (
	OperatorNone Operator = iota
	Above
	AtLeast
	Below
	AtMost
	Equal
	NotEqual
	Inside
	Outside
)

var operatorNames = []string{"", ">", ">=", "<", "<=", "=", "!=", "inside", "outside"}

// String is the operator as it is written in a policy.
func (o Operator) String() string { return enumText(o, operatorNames) }

// MarshalText writes the operator as in a policy.
func (o Operator) MarshalText() ([]byte, error) { return marshalEnum(o, "operator", operatorNames) }

// UnmarshalText reads an operator as in a policy.
func (o *Operator) UnmarshalText(text []byte) error {
	return unmarshalEnum(o, "operator", operatorNames, text)
}

// Unit is how the number of a condition is written and, next to the baseline, how it is added.
type Unit uint8

// The units. Percent of a plain number divides by 100 ("5%" of requests is 0.05); after "baseline" it is relative
// ("+25%" is a quarter more), and Points are percentage points ("+5pp" adds 0.05).
const (
	Plain Unit = iota
	Percent
	Points
)

var unitNames = []string{"plain", "percent", "points"}

// String is the unit's name.
func (u Unit) String() string { return enumText(u, unitNames) }

// MarshalText writes the name.
func (u Unit) MarshalText() ([]byte, error) { return marshalEnum(u, "unit", unitNames) }

// UnmarshalText reads a name.
func (u *Unit) UnmarshalText(text []byte) error { return unmarshalEnum(u, "unit", unitNames, text) }

// Condition says when a check's value is bad: "> 5%", "> baseline + 25%", "< baseline - 3", "outside 10..20".
// The zero Condition holds for no value.
type Condition struct {
	Operator Operator `json:"operator"`
	Relative bool     `json:"relative,omitempty"` // Value is added to the baseline's value
	Value    float64  `json:"value"`              // as written: 5 with Percent for "5%"; negative for "baseline - 5"
	Upper    float64  `json:"upper,omitempty"`    // the range's other end, for Inside and Outside
	Unit     Unit     `json:"unit,omitempty"`
}

// IsZero tells whether there is no condition.
func (c Condition) IsZero() bool { return c == Condition{} }

// Limits are the numbers that a value is compared with, given the baseline's value (ignored unless c is relative).
// The second is the upper end of a range, and NaN for the operators that take one number.
func (c Condition) Limits(baseline float64) (lower, upper float64) {
	return c.limit(c.Value, baseline), c.upperLimit(baseline)
}

// Holds tells whether value is bad. A NaN on either side never holds: what a NaN means is the judge's to say.
// Inside includes both ends; Outside is its opposite.
func (c Condition) Holds(value, baseline float64) bool {
	lower, upper := c.Limits(baseline)
	if math.IsNaN(value) || math.IsNaN(lower) {
		return false
	}
	switch c.Operator {
	case Above:
		return value > lower
	case AtLeast:
		return value >= lower
	case Below:
		return value < lower
	case AtMost:
		return value <= lower
	case Equal:
		return value == lower
	case NotEqual:
		return value != lower
	case Inside:
		return value >= lower && value <= upper
	case Outside:
		return value < lower || value > upper
	case OperatorNone:
		return false
	}
	return false
}

// String writes the condition so that ParseCondition reads the same one back.
func (c Condition) String() string {
	if c.IsZero() {
		return ""
	}
	return c.write(func(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) + c.suffix() })
}

// In writes the condition for people: as in a policy, and what is a plain number there with its unit.
func (c Condition) In(unit string) string {
	switch {
	case c.Unit != Plain || unit == "" || c.IsZero():
		return c.String()
	case c.Relative:
		return c.write(func(v float64) string { return Difference(v, unit, 6) })
	default:
		return c.write(func(v float64) string { return Amount(v, unit, 6) })
	}
}

// MarshalText writes the condition as in a policy.
func (c Condition) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// UnmarshalText reads a condition as in a policy.
func (c *Condition) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		*c = Condition{}
		return nil
	}
	parsed, err := ParseCondition(string(text))
	if err != nil {
		return err
	}
	*c = parsed
	return nil
}

// ParseCondition reads a condition as people write it in a policy.
func ParseCondition(text string) (Condition, error) {
	operator, rest, err := cutOperator(strings.TrimSpace(text))
	if err != nil {
		return Condition{}, err
	}
	c := Condition{Operator: operator}
	if operator == Inside || operator == Outside {
		return parseRange(c, text, rest)
	}
	sign := 1.0
	if after, found := strings.CutPrefix(rest, "baseline"); found {
		c.Relative = true
		rest = strings.TrimSpace(after)
		switch {
		case rest == "":
			return c, nil
		case rest[0] == '+':
		case rest[0] == '-':
			sign = -1
		default:
			return Condition{}, Errorf(Invalid, "condition %q: after 'baseline' comes '+' or '-' and an amount, as in '> baseline + 25%%'", text)
		}
		rest = strings.TrimSpace(rest[1:])
	}
	value, unit, err := parseAmount(rest)
	if err != nil {
		return Condition{}, Errorf(Invalid, "condition %q: %w", text, err)
	}
	if unit == Points && !c.Relative {
		return Condition{}, Errorf(Invalid, "condition %q: percentage points (pp) are added to a baseline, as in '> baseline + 5pp'", text)
	}
	if c.Relative && value < 0 {
		return Condition{}, Errorf(Invalid, "condition %q: write 'baseline - %g' rather than two signs", text, -value)
	}
	if value != 0 {
		value *= sign
		c.Unit = unit
	}
	c.Value = value
	if !c.Relative {
		c.Unit = unit
	}
	return c, nil
}

// Private

func (c Condition) write(number func(v float64) string) string {
	switch {
	case c.Operator == Inside || c.Operator == Outside:
		return fmt.Sprintf("%s %s..%s", c.Operator, number(c.Value), number(c.Upper))
	case c.Relative && c.Value == 0:
		return c.Operator.String() + " baseline"
	case c.Relative && c.Value < 0:
		return fmt.Sprintf("%s baseline - %s", c.Operator, number(-c.Value))
	case c.Relative:
		return fmt.Sprintf("%s baseline + %s", c.Operator, number(c.Value))
	default:
		return c.Operator.String() + " " + number(c.Value)
	}
}

func (c Condition) suffix() string {
	switch c.Unit {
	case Percent:
		return "%"
	case Points:
		return "pp"
	case Plain:
	}
	return ""
}

func (c Condition) limit(number, baseline float64) float64 {
	switch {
	case !c.Relative && c.Unit == Percent:
		return number / 100
	case !c.Relative:
		return number
	case c.Unit == Percent:
		return baseline + math.Abs(baseline)*number/100
	case c.Unit == Points:
		return baseline + number/100
	default:
		return baseline + number
	}
}

func (c Condition) upperLimit(baseline float64) float64 {
	if c.Operator != Inside && c.Operator != Outside {
		return math.NaN()
	}
	return c.limit(c.Upper, baseline)
}

func cutOperator(text string) (Operator, string, error) {
	for _, o := range []Operator{AtLeast, AtMost, NotEqual, Above, Below, Equal, Inside, Outside} {
		if rest, found := strings.CutPrefix(text, o.String()); found {
			return o, strings.TrimSpace(rest), nil
		}
	}
	return OperatorNone, "", Errorf(Invalid, "condition %q: start with one of >, >=, <, <=, =, !=, inside, outside", text)
}

func parseRange(c Condition, text, rest string) (Condition, error) {
	low, high, found := strings.Cut(rest, "..")
	if !found {
		return Condition{}, Errorf(Invalid, "condition %q: a range is two numbers with two dots between, as in 'outside 10..20'", text)
	}
	lower, unit, err := parseAmount(strings.TrimSpace(low))
	if err != nil {
		return Condition{}, Errorf(Invalid, "condition %q: %w", text, err)
	}
	upper, upperUnit, err := parseAmount(strings.TrimSpace(high))
	if err != nil {
		return Condition{}, Errorf(Invalid, "condition %q: %w", text, err)
	}
	if unit != upperUnit || unit == Points {
		return Condition{}, Errorf(Invalid, "condition %q: write both ends the same way, both plain or both in %%", text)
	}
	if lower > upper {
		return Condition{}, Errorf(Invalid, "condition %q: the lower end comes first", text)
	}
	c.Value, c.Upper, c.Unit = lower, upper, unit
	return c, nil
}

func parseAmount(text string) (float64, Unit, error) {
	unit := Plain
	number := text
	if n, found := strings.CutSuffix(text, "%"); found {
		number, unit = n, Percent
	} else if n, found := strings.CutSuffix(text, "pp"); found {
		number, unit = n, Points
	}
	value, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
	if err != nil || math.IsNaN(value) || math.IsInf(value, 0) {
		return 0, Plain, fmt.Errorf("%q is no number", text)
	}
	return value, unit, nil
}
