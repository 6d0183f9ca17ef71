// Package firstadmin begins with a new server as a person does, for tests and benchmarks: over REST, with the token that
// the server printed, until there is an admin who has a token of her own.
package firstadmin

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"regexp"
	"time"
)

// Who the admin is.
const (
	Name     = "ann"
	Password = "correct horse battery" //nolint:gosec // of servers that live for seconds
)

// Token is what the first token looks like in what a new server prints.
var Token = regexp.MustCompile(`adgfirst_[a-z0-9_]+`)

// Make makes the admin of the server at an address, and gives an API token of hers that may do everything. It takes half
// a minute at most.
func Make(ctx context.Context, server, first string) (token string, err error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	jar, err := cookiejar.New(nil)
	if err != nil {
		return "", err
	}
	b := browser{server, &http.Client{Jar: jar}}
	defer b.client.CloseIdleConnections()
	var made struct{ Secret string }
	for i, step := range []struct {
		path, credential string
		body             map[string]any
	}{
		{"/v1/users", first, map[string]any{"name": Name, "password": Password}},
		{"/v1/bindings", first, map[string]any{"subject": "user:" + Name, "role": "admin", "service": "*", "environment": "*"}},
		{"/v1/login", "", map[string]any{"name": Name, "password": Password}},
		{"/v1/tokens", "", map[string]any{"name": "first", "role": "admin", "service": "*", "environment": "*"}},
	} {
		if step.path != "/v1/login" {
			step.body["idempotencyKey"], step.body["reason"] = fmt.Sprint(i), "first"
		}
		if err := b.post(ctx, step.path, step.credential, step.body, &made); err != nil {
			return "", err
		}
	}
	return made.Secret, nil
}

// Private

// browser is somebody who is logged in by a cookie.
type browser struct {
	server string
	client *http.Client
}

func (b browser) post(ctx context.Context, path, credential string, body, answer any) error {
	sent, err := json.Marshal(body)
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, b.server+path, bytes.NewReader(sent))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	if credential != "" {
		r.Header.Set("Authorization", "Bearer "+credential)
	}
	got, err := b.client.Do(r) //nolint:gosec // a server of the caller's own
	if err != nil {
		return err
	}
	defer func() { _ = got.Body.Close() }()
	said, err := io.ReadAll(io.LimitReader(got.Body, 1<<20))
	if err != nil {
		return err
	}
	if got.StatusCode != http.StatusOK {
		return fmt.Errorf("POST %s: %s: %s", path, got.Status, said)
	}
	return json.Unmarshal(said, answer)
}
