package process

// head keeps the first bytes written to it and accepts, but drops, the rest: a program that talks too much must not
// block on a full pipe.
type head struct {
	kept    []byte
	limit   int
	dropped bool
}

// Write never fails.
func (h *head) Write(p []byte) (int, error) {
	room := h.limit - len(h.kept)
	h.dropped = h.dropped || len(p) > room
	h.kept = append(h.kept, p[:min(len(p), room)]...)
	return len(p), nil
}

// tail keeps the last bytes written to it.
type tail struct {
	kept    []byte // up to twice the limit, so that each byte is moved once at most
	limit   int
	dropped bool
}

// Write never fails.
func (t *tail) Write(p []byte) (int, error) {
	n := len(p)
	if n > t.limit {
		p, t.dropped = p[n-t.limit:], true
	}
	if len(t.kept)+len(p) > 2*t.limit {
		t.kept = append(t.kept[:0], t.bytes()...)
	}
	t.kept = append(t.kept, p...)
	t.dropped = t.dropped || len(t.kept) > t.limit
	return n, nil
}

func (t *tail) bytes() []byte { return t.kept[max(len(t.kept)-t.limit, 0):] }
