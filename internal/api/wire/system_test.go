package wire

import (
	"strings"
	"testing"

	adgv1 "github.com/deployguardian/adg/proto/adg/v1"
)

func TestEveryFaultOfTheDemoHasItsName(t *testing.T) {
	for number, constant := range adgv1.DemoFault_name {
		want := strings.ToLower(strings.TrimPrefix(constant, "DEMO_FAULT_"))
		if number == 0 {
			want = "errors"
		}
		if got, err := ReadDemoFault(adgv1.DemoFault(number)); got != want || err != nil {
			t.Errorf("%s is %q, %v", constant, got, err)
		}
	}
	if _, err := ReadDemoFault(99); err == nil {
		t.Error("a fault that there is not is taken")
	}
}
