package shop

import (
	"fmt"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"
)

// Private

const (
	firstOrder = 10_000
	firstCart  = 400_000
	lowEvery   = 50 // carts
	tries      = 3
	tryAgain   = 700 * time.Millisecond
)

// diary is the shop's log: a line of JSON for each cart and order, and for each request that failed.
type diary struct {
	log           *slog.Logger
	loses         bool // payments
	orders, carts atomic.Int64
}

func newDiary(o Options) *diary {
	d := &diary{log: slog.New(slog.DiscardHandler), loses: o.Fault == Log}
	if o.Out != nil {
		d.log = slog.New(slog.NewJSONHandler(o.Out, nil)).With("version", o.Version)
	}
	d.orders.Store(firstOrder)
	d.carts.Store(firstCart)
	return d
}

// served writes what a request that went well has changed, if anything.
func (d *diary) served(route string) {
	switch route {
	case "/cart":
		n := d.carts.Add(1)
		d.log.Info(fmt.Sprintf("cart %d has another product", n), "product", 100+n%7)
		if n%lowEvery == 0 {
			d.log.Warn(fmt.Sprintf("product %d is nearly sold out: %d left", 100+n%7, 2+n%3))
		}
	case "/checkout":
		n := d.orders.Add(1)
		if d.loses {
			d.lose(n, 1)
		}
		d.log.Info(fmt.Sprintf("order %d is accepted", n))
	}
}

// lose writes that a payment is lost, and tries it again in vain.
func (d *diary) lose(order, try int64) {
	d.log.Error(fmt.Sprintf("payment of order %d is lost, try %d", order, try), "error", fmt.Sprintf("ledger has no account %d", order%1000))
	if try < tries {
		time.AfterFunc(tryAgain, func() { d.lose(order, try+1) })
	}
}

// failed writes that a request was answered with an error.
func (d *diary) failed(r *http.Request) {
	d.log.Error(r.Method+" "+r.URL.Path+" failed", "error", "stock is out of order")
}
