package predict

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"

	"github.com/deployguardian/adg"
)

// Encode writes a model down; equal models give equal bytes.
func Encode(m *Model) ([]byte, error) {
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	if err := json.NewEncoder(z).Encode(envelope{Version: codecVersion, Model: m}); err != nil {
		return nil, fmt.Errorf("encode the model: %w", err)
	}
	if err := z.Close(); err != nil {
		return nil, fmt.Errorf("encode the model: %w", err)
	}
	return out.Bytes(), nil
}

// Decode reads what Encode wrote. What is damaged, or of another version, is refused with the code Invalid.
func Decode(text []byte) (*Model, error) { return decode(text, maxModel) }

// MarshalJSON packs the tree's nodes.
func (t *Tree) MarshalJSON() ([]byte, error) {
	packed := make([]byte, 0, nodeSize*len(t.Feature))
	for i := range t.Feature {
		packed = binary.LittleEndian.AppendUint16(packed, uint16(t.Feature[i])) //nolint:gosec // both ways are the same 16 bits
		packed = append(packed, byte(bit(t.Missing[i])))
		packed = binary.LittleEndian.AppendUint32(packed, uint32(t.Left[i])) //nolint:gosec // never negative
		for _, v := range []float64{t.Limit[i], t.Value[i], t.Cover[i]} {
			packed = binary.LittleEndian.AppendUint64(packed, math.Float64bits(v))
		}
	}
	return json.Marshal(base64.StdEncoding.EncodeToString(packed))
}

// UnmarshalJSON unpacks what MarshalJSON packed.
func (t *Tree) UnmarshalJSON(text []byte) error {
	var packed []byte
	if err := json.Unmarshal(text, &packed); err != nil {
		return err
	}
	if len(packed)%nodeSize != 0 {
		return errors.New("a tree is cut off")
	}
	*t = Tree{}
	for ; len(packed) > 0; packed = packed[nodeSize:] {
		t.add()
		i := len(t.Feature) - 1
		t.Feature[i] = int16(binary.LittleEndian.Uint16(packed)) //nolint:gosec // both ways are the same 16 bits
		t.Missing[i] = packed[2] != 0
		t.Left[i] = int32(binary.LittleEndian.Uint32(packed[3:])) //nolint:gosec // checked by the model
		for k, v := range []*float64{&t.Limit[i], &t.Value[i], &t.Cover[i]} {
			*v = math.Float64frombits(binary.LittleEndian.Uint64(packed[7+8*k:]))
		}
	}
	return nil
}

// Private

const (
	codecVersion = 2
	maxModel     = 256 << 20 // bytes, unpacked
	nodeSize     = 2 + 1 + 4 + 3*8
	maxNames     = 1024
)

type envelope struct {
	Version int    `json:"version"`
	Model   *Model `json:"model"`
}

// decode reads a model that is no larger than the limit, in bytes, unpacked.
func decode(text []byte, limit int) (*Model, error) {
	z, err := gzip.NewReader(bytes.NewReader(text))
	if err != nil {
		return nil, adg.Errorf(adg.Invalid, "decode the model: %w", err)
	}
	var e envelope
	if err := json.NewDecoder(&capped{z, limit}).Decode(&e); err != nil {
		return nil, adg.Errorf(adg.Invalid, "decode the model: %w", err)
	}
	if e.Version != codecVersion {
		return nil, adg.Errorf(adg.Invalid, "the model has version %d, this program reads %d: train it again", e.Version, codecVersion)
	}
	if e.Model == nil {
		return nil, adg.Errorf(adg.Invalid, "decode the model: there is none")
	}
	if err := e.Model.check(); err != nil {
		return nil, adg.Errorf(adg.Invalid, "decode the model: %w", err)
	}
	e.Model.Scale.index()
	return e.Model, nil
}

// capped reads so much of what is unpacked, and no more: a small file can hold very much.
type capped struct {
	from *gzip.Reader
	left int
}

func (c *capped) Read(p []byte) (int, error) {
	if c.left <= 0 {
		return 0, errors.New("unpacked it is too large")
	}
	n, err := c.from.Read(p[:min(len(p), c.left)])
	c.left -= n
	return n, err
}

// check refuses a model that Predict could not use.
func (m *Model) check() error {
	n := len(m.Features)
	if n != len(m.Names)+2 || n > maxNames || len(m.Experts) != expertCount {
		return errors.New("the features or the experts do not fit")
	}
	s := &m.Scale
	if len(s.Mean) != n || len(s.Dev) != n || len(s.Missing) != n || len(s.Usual) != n {
		return errors.New("the scale does not fit the features")
	}
	s.index()
	for k := range m.Experts {
		e := &m.Experts[k]
		for _, member := range e.Members {
			if member < 0 || member >= k {
				return fmt.Errorf("%s: a member does not come before it", e.Name)
			}
		}
		if e.Services != nil && e.Linear == nil {
			return fmt.Errorf("%s: there is nothing that services differ from", e.Name)
		}
		if !e.Linear.fits(s.width()) {
			return fmt.Errorf("%s: the weights do not fit the features", e.Name)
		}
		for _, own := range e.Services {
			if own == nil || !own.fits(s.width()) {
				return fmt.Errorf("%s: a service's weights do not fit the features", e.Name)
			}
		}
		if e.Ensemble != nil {
			for _, t := range e.Ensemble.Trees {
				if t == nil || !t.fits(n) {
					return fmt.Errorf("%s: a tree is damaged", e.Name)
				}
			}
		}
	}
	if m.Experts[baseRate].Linear == nil || m.Experts[recentRate].Linear == nil {
		return errors.New("the base rate is missing")
	}
	return nil
}

func (l *Linear) fits(width int) bool {
	if l == nil {
		return true
	}
	n := len(l.Weights)
	return n == 0 || n == width && !l.Curved || n == 2*width && l.Curved
}

// fits tells whether each way through the tree ends, and only asks for features that there are.
func (t *Tree) fits(features int) bool {
	if len(t.Feature) == 0 {
		return false
	}
	for i, f := range t.Feature {
		left := int(t.Left[i])
		if f >= 0 && (int(f) >= features || left <= i || left+1 >= len(t.Feature)) {
			return false
		}
	}
	return true
}
