package traffic

import "github.com/deployguardian/adg"

// Dispersion measures how many requests go one way together: how much more the replicas' parts of the requests vary from
// bucket to bucket than if each request were sent on its own (Pearson's chi-square over its degrees of freedom). It sees
// blocks that are shorter than a bucket; for longer ones measure with longer buckets, too, and take the largest. It is
// plain data, bounded in size, and not safe for concurrent use; the zero value has seen nothing.
type Dispersion struct {
	Sums   []float64 `json:"sums,omitempty"` // requests of each replica
	Square float64   `json:"square"`
	Free   float64   `json:"free"` // degrees of freedom
}

// Add counts the requests that each replica got in a bucket, always in the same order. When their number changes, the
// parts are learned anew. More than 256, or counts that are no numbers or negative, are Invalid and change nothing.
func (d *Dispersion) Add(replicas []float64) error {
	if len(replicas) > maxReplicas {
		return adg.Errorf(adg.Invalid, "%d replicas: %d are the most", len(replicas), maxReplicas)
	}
	for _, r := range replicas {
		if !(r >= 0 && r <= mostRequests) {
			return adg.Errorf(adg.Invalid, "%g requests in a bucket: a count is 0 to %g", r, mostRequests)
		}
	}
	if len(replicas) != len(d.Sums) {
		d.Sums = make([]float64, len(replicas))
	}
	d.learn(replicas)
	for i, r := range replicas {
		d.Sums[i] += r
	}
	return nil
}

// Factor is how many requests go one way together, 1 or more; 1 as long as nothing is known. Measured over fewer than
// some 30 degrees of freedom it is rough.
func (d *Dispersion) Factor() float64 {
	if d.Free == 0 {
		return 1
	}
	return max(d.Square/d.Free, 1)
}

// Private

const maxReplicas = 256

// learn compares with the parts as they were before the bucket, whose own uncertainty is taken off.
func (d *Dispersion) learn(replicas []float64) {
	n, before, known := 0.0, 0.0, 0.0
	for i, r := range replicas {
		if d.Sums[i] > 0 {
			n += r
			before += d.Sums[i]
			known++
		}
	}
	if n == 0 || known < 2 {
		return
	}
	for i, r := range replicas {
		if d.Sums[i] > 0 {
			due := n * d.Sums[i] / before
			d.Square += (r - due) * (r - due) / (due * (1 + n/before))
		}
	}
	d.Free += known - 1
}
