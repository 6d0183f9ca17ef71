package demo

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/demo/haproxyd"
	"github.com/deployguardian/adg/internal/demo/shop"
)

// Shop is the hidden verb `adg shop …`: one of the processes that the demo starts from its own binary. It ends when its
// standard input does.
//
//	adg shop --version=v1 …          a version of the shop
//	adg shop mind PROGRAM ARG…       a program that shall not outlive the demo
//	adg shop prepare ADDRESS         brings a release into a slot of HAProxy, as the haproxy target asks for it
func Shop(ctx context.Context, args []string) error {
	verb := ""
	if len(args) > 0 {
		verb = args[0]
	}
	switch verb {
	case verbMind:
		return haproxyd.Mind(ctx, os.Stdin, args[1:])
	case verbPrepare:
		return askToPrepare(ctx, args[1:])
	}
	o, err := shop.Parse(args)
	if err != nil {
		return err
	}
	o.In, o.Out = os.Stdin, os.Stdout
	return shop.Serve(ctx, o)
}

// Private

const (
	verbShop    = "shop"
	verbMind    = "mind"
	verbPrepare = "prepare"

	preparePath    = "/prepare"
	prepareTimeout = 20 * time.Second
)

// askToPrepare hands on to the demo what the haproxy target wants of its prepare program.
func askToPrepare(ctx context.Context, args []string) error {
	if len(args) != 1 {
		return adg.Errorf(adg.Invalid, "prepare: which address?")
	}
	ctx, cancel := context.WithTimeout(ctx, prepareTimeout)
	defer cancel()
	form := url.Values{"slot": {os.Getenv("ADG_SLOT")}, "version": {os.Getenv("ADG_VERSION")}}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+args[0]+preparePath, strings.NewReader(form.Encode()))
	if err != nil {
		return adg.Errorf(adg.Invalid, "prepare: %w", err)
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return adg.Errorf(adg.Unavailable, "prepare: %w", err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusNoContent {
		text, _ := io.ReadAll(io.LimitReader(response.Body, 1<<10)) // half a reason is better than none
		return adg.Errorf(adg.Unavailable, "prepare: %s", strings.TrimSpace(string(text)))
	}
	return nil
}
