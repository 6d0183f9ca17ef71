package flag

import "context"

// Dial is a flag that has a switch beside the percentage and cannot change both at once: it is moved so that nobody has
// the flag on who should not have, wherever the way is broken off.
type Dial struct {
	On      bool    // the switch, as it was read
	Percent float64 // the percentage, as it was read, whatever the switch says
	Text    string  // the text, as it was read

	Switch func(ctx context.Context, on bool) error
	Set    func(ctx context.Context, percent float64, text string) error // the percentage and the text, at once
}

// Turn brings the flag to a share. Off begins with the switch, which is what users feel; on ends with the percentage.
func (d Dial) Turn(ctx context.Context, share float64, text string) error {
	if share == 0 {
		if d.On {
			if err := d.Switch(ctx, false); err != nil {
				return err
			}
		}
		return d.Set(ctx, 0, text)
	}
	if !d.On {
		if d.Percent != 0 {
			if err := d.Set(ctx, 0, d.Text); err != nil {
				return err
			}
		}
		if err := d.Switch(ctx, true); err != nil {
			return err
		}
	}
	return d.Set(ctx, share, text)
}
