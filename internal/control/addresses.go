package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/url"
	"slices"
	"strings"

	"github.com/deployguardian/adg"
)

// Private

// sealed are the options of a connection as they are stored: what is written is sealed, what is kept comes from the old
// one, and stays with the places that it was given for.
func (c *Control) sealed(ctx context.Context, k, old Connection, before map[string]string) (string, error) {
	changes, kept := c.sealing(ctx, k, before), ""
	keep := changes["keep"]
	changes["keep"] = func(path, text string) (any, error) {
		kept = path
		return keep(path, text)
	}
	stored, err := k.plain().Rewritten(c.o.Drivers, changes)
	if err != nil {
		return "", err
	}
	if err := noPasswords(stored.Options); err != nil {
		return "", err
	}
	if kept != "" {
		err = sameWay([]byte(old.Options), stored.Options, kept)
	}
	return string(stored.Options), err
}

// sameWay refuses to send a secret that is kept to places that it was not given for: whoever may change a connection
// would learn it there.
func sameWay(before, after []byte, kept string) error {
	known, err := places(before)
	if err != nil {
		return err
	}
	now, err := places(after)
	if err != nil {
		return err
	}
	for _, place := range slices.Sorted(maps.Keys(now)) {
		if !known[place] {
			return adg.Advised(adg.Errorf(adg.Invalid, "the connection leads to %s now, and %s was given for another place", adg.Printable(place), kept), "give the secret again")
		}
	}
	return nil
}

// places are the servers that options name, with how they are reached.
func places(options []byte) (map[string]bool, error) {
	found := map[string]bool{}
	err := inside(options, func(_, text string) error {
		if u, err := url.Parse(text); err == nil && u.Host != "" {
			found[strings.ToLower(u.Scheme+"://"+u.Host)] = true
		} else if _, port, err := net.SplitHostPort(text); err == nil && port != "" {
			found[strings.ToLower(text)] = true
		}
		return nil
	})
	return found, err
}

// noPasswords refuses passwords in addresses: they would be stored and shown as they are.
func noPasswords(options []byte) error {
	return inside(options, func(path, text string) error {
		u, err := url.Parse(text)
		if err != nil || u.User == nil {
			return nil //nolint:nilerr // it is no address
		}
		if _, set := u.User.Password(); !set {
			return nil
		}
		return adg.Advised(adg.Errorf(adg.Invalid, "%s holds a password in the address, which everybody would see who looks", strings.TrimPrefix(path, ".")), "give it where it is sealed, such as basic_auth.password")
	})
}

// inside visits every text within a connection's options.
func inside(options []byte, visit func(path, text string) error) error {
	var all any
	if err := json.Unmarshal(options, &all); err != nil {
		return adg.Errorf(adg.Internal, "reading a connection's options: %w", err)
	}
	return eachText("", all, visit)
}

// eachText visits every text within a JSON value.
func eachText(path string, value any, visit func(path, text string) error) error {
	var errs []error
	switch v := value.(type) {
	case string:
		return visit(path, v)
	case []any:
		for i, one := range v {
			errs = append(errs, eachText(fmt.Sprintf("%s[%d]", path, i), one, visit))
		}
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(v)) {
			errs = append(errs, eachText(path+"."+name, v[name], visit))
		}
	}
	return errors.Join(errs...)
}
