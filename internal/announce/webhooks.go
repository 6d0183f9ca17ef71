package announce

import (
	"context"
	"encoding/json"
	"io"
	"math"
	"net/http"
	"net/netip"
	"strconv"
	"time"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/identity"
	"github.com/deployguardian/adg/internal/intake"
	"github.com/deployguardian/adg/internal/serve"
	"github.com/deployguardian/adg/internal/trace"
)

// Path is where webhooks are answered; their names follow.
const Path = "/hooks/"

// Webhooks answer POST /hooks/NAME.
type Webhooks struct {
	Desk
	Store   Store
	Named   map[string]intake.Webhook
	Rate    *serve.Rate    // per address
	Proxies []netip.Prefix // whose X-Forwarded-For counts
}

// ServeHTTP answers one request: 202 and the deployment's id for one that was started, 200 for one that is authentic
// and announces nothing, and otherwise why not.
func (h *Webhooks) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), longest)
	defer cancel()
	id, err := h.take(ctx, w, r)
	switch {
	case err != nil:
		refuse(w, err)
	case id == "":
		answer(w, http.StatusOK, map[string]string{"ignored": "this event announces no deployment here"})
	default:
		answer(w, http.StatusAccepted, map[string]string{"deployment": id})
	}
}

// Private

// longest is how long one request may take: less than it is under way for.
const longest = underWay / 2

// take starts what the request announces, and gives the deployment's id; empty: it announces nothing.
func (h *Webhooks) take(ctx context.Context, w http.ResponseWriter, r *http.Request) (string, error) {
	from := serve.Address(r, h.Proxies)
	if ok, wait := h.Rate.Allow("address " + serve.Network(from)); !ok {
		return "", adg.Throttled(adg.Errorf(adg.Unavailable, "too many requests"), wait)
	}
	name := r.PathValue("name")
	hook, known := h.Named[name]
	if !known {
		return "", adg.Errorf(adg.NotFound, "there is no webhook of this name")
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, intake.MaxBody))
	if err != nil {
		return "", adg.Errorf(adg.Invalid, "the request cannot be read to its end, or has more than %d bytes", intake.MaxBody)
	}
	now, err := h.Store.Now(ctx)
	if err != nil {
		return "", err
	}
	who := caller("webhook:"+name, adg.ViaWebhook, hook.Binding)
	who.From = from
	c := &claim{store: h.Store, name: name}
	a, found, err := hook.Admit(ctx, now, r.Header, body, c)
	if err != nil {
		h.counted(who.Subject, "refused")
		h.Log.WarnContext(ctx, "a webhook was refused", "webhook", name, "from", from, "error", err)
		h.free(ctx, c)
		return "", err
	}
	if !found {
		return "", nil
	}
	// Before it is known to be authentic, nobody's word that it is recorded counts.
	ctx, end := trace.Start(trace.Continued(ctx, r.Header.Get("Traceparent")), "webhook")
	id, err := h.started(ctx, c, who, a)
	end(err)
	return id, err
}

func (h *Webhooks) started(ctx context.Context, c *claim, who identity.Caller, a intake.Announcement) (string, error) {
	d, err := h.start(ctx, who, a)
	if err != nil {
		h.free(ctx, c)
		return "", err
	}
	if err := c.keep(context.WithoutCancel(ctx)); err != nil {
		// The same again would not start another: the key of the announcement is the same, too.
		h.Log.ErrorContext(ctx, "a request of a webhook may come again", "by", who.Subject, "deployment", d.ID, "error", err)
	}
	return d.ID, nil
}

// free lets a request come again that nothing came of, also when its time is over.
func (h *Webhooks) free(ctx context.Context, c *claim) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if err := c.release(ctx); err != nil {
		h.Log.WarnContext(ctx, "a request of a webhook can come again only after a while", "after", underWay, "error", err)
	}
}

// refuse answers with what is wrong. Of what is broken here nothing is told.
func refuse(w http.ResponseWriter, err error) {
	status := http.StatusInternalServerError
	text := "this server cannot do it, and its log says why"
	switch adg.CodeOf(err) {
	case adg.Invalid:
		status, text = http.StatusBadRequest, err.Error()
	case adg.Unauthorized:
		status, text = http.StatusUnauthorized, err.Error()
	case adg.NotFound:
		status, text = http.StatusNotFound, err.Error()
	case adg.Conflict:
		status, text = http.StatusConflict, err.Error()
	case adg.Unavailable:
		status, text = http.StatusServiceUnavailable, "this cannot be done now: send it again"
	case adg.Internal:
	}
	if wait, throttled := adg.RetryAfter(err); throttled {
		status = http.StatusTooManyRequests
		w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(wait.Seconds()))))
	}
	answer(w, status, map[string]string{"error": text})
}

func answer(w http.ResponseWriter, status int, value map[string]string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(value) // whoever has gone does not want it
}
