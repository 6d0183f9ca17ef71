package argocd

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/remote"
	"github.com/deployguardian/adg/internal/target/gitops"
)

// Private

// application is what adg reads of one; the fields are those of argoproj.io/v1alpha1.
type application struct {
	Metadata struct {
		ResourceVersion string            `json:"resourceVersion"`
		Annotations     map[string]string `json:"annotations"`
		OwnerReferences []struct {
			Kind string `json:"kind"`
			Name string `json:"name"`
		} `json:"ownerReferences"`
		DeletionTimestamp string `json:"deletionTimestamp"`
	} `json:"metadata"`
	Spec struct {
		Project    string            `json:"project"`
		Source     json.RawMessage   `json:"source"`
		Sources    []json.RawMessage `json:"sources"`
		SyncPolicy *struct {
			Automated json.RawMessage `json:"automated"`
		} `json:"syncPolicy"`
	} `json:"spec"`
	Operation *operation `json:"operation"` // one that is to begin, or under way
	Status    struct {
		Sync struct {
			Status string `json:"status"`
		} `json:"sync"`
		Health struct {
			Status  string `json:"status"`
			Message string `json:"message"`
		} `json:"health"`
		OperationState *struct {
			Phase     string    `json:"phase"`
			Message   string    `json:"message"`
			StartedAt string    `json:"startedAt"`
			Operation operation `json:"operation"`
		} `json:"operationState"`
		History []entry `json:"history"`
	} `json:"status"`
}

type operation struct {
	Sync *struct {
		Revision string `json:"revision"`
	} `json:"sync"`
	Info []info `json:"info"`
}

type info struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// entry is a sync that succeeded.
type entry struct {
	ID       int64           `json:"id"`
	Revision string          `json:"revision"`
	Source   json.RawMessage `json:"source"`
}

// automated is the policy of automated sync where there is one that is not switched off.
func (a *application) automated() json.RawMessage {
	if a.Spec.SyncPolicy == nil {
		return nil
	}
	var policy *struct {
		Enabled *bool `json:"enabled"`
	}
	raw := a.Spec.SyncPolicy.Automated
	if len(raw) == 0 || json.Unmarshal(raw, &policy) != nil || policy == nil || policy.Enabled != nil && !*policy.Enabled {
		return nil
	}
	return raw
}

// running is the operation that is to begin or under way; nil: none.
func (a *application) running() *operation {
	switch state := a.Status.OperationState; {
	case a.Operation != nil:
		return a.Operation
	case state != nil && (state.Phase == "Running" || state.Phase == "Terminating"):
		return &state.Operation
	}
	return nil
}

// newest is the last entry of the history; its zero value: there is none.
func (a *application) newest() entry {
	newest := entry{ID: -1}
	for _, e := range a.Status.History {
		if e.ID > newest.ID {
			newest = e
		}
	}
	return newest
}

// api is the part of Argo CD's REST interface that is about one Application.
type api struct {
	client          *remote.Client
	base            *url.URL
	name, namespace string
}

func (a api) application(ctx context.Context) (*application, error) {
	var app application
	if err := a.do(ctx, read, "", nil, nil, &app); err != nil {
		return nil, err
	}
	if app.Metadata.ResourceVersion == "" {
		return nil, adg.Errorf(adg.Unavailable, "the answer is no Application: is url the address of an Argo CD server?")
	}
	return &app, nil
}

// node is one of the tree of what an Application has in its cluster.
type node struct {
	Kind       string   `json:"kind"`
	Name       string   `json:"name"`
	Images     []string `json:"images"`
	ParentRefs []struct {
		Kind string `json:"kind"`
	} `json:"parentRefs"`
	Health *struct {
		Status  string `json:"status"`
		Message string `json:"message"`
	} `json:"health"`
}

// pods are those that are there, without those of jobs.
func (a api) pods(ctx context.Context) ([]node, error) {
	var tree struct {
		Nodes []node `json:"nodes"`
	}
	if err := a.do(ctx, read, "/resource-tree", nil, nil, &tree); err != nil {
		return nil, err
	}
	return slices.DeleteFunc(tree.Nodes, func(n node) bool {
		return n.Kind != "Pod" || len(n.ParentRefs) > 0 && n.ParentRefs[0].Kind == "Job"
	}), nil
}

// manifests says which images a revision runs by the Application's present source, and which revision that is; empty: the
// one that the Application tracks.
func (a api) manifests(ctx context.Context, revision string) (images []string, resolved string, err error) {
	var answer struct {
		Manifests []string `json:"manifests"`
		Revision  string   `json:"revision"`
	}
	query := url.Values{}
	if revision != "" {
		query.Set("revision", revision)
	}
	if err := a.do(ctx, read, "/manifests", query, nil, &answer); err != nil {
		return nil, "", err
	}
	var all []any
	for _, text := range answer.Manifests {
		var manifest any
		if err := json.Unmarshal([]byte(text), &manifest); err != nil {
			return nil, "", adg.Errorf(adg.Unavailable, "the manifests of revision %s cannot be read", a.client.Scrub(answer.Revision))
		}
		all = append(all, manifest)
	}
	return gitops.Images(all), answer.Revision, nil
}

// change is one operation of a JSON patch.
type change struct {
	Op    string `json:"op"`
	Path  string `json:"path"`
	Value any    `json:"value,omitempty"`
}

// patch changes the Application if it is still the one that was read. The server answers a comparison that fails as any
// other failure, so it is told apart by reading again: errAgain.
func (a api) patch(ctx context.Context, from *application, changes []change) error {
	changes = append([]change{{"test", "/metadata/resourceVersion", from.Metadata.ResourceVersion}}, changes...)
	text, err := json.Marshal(changes)
	if err != nil {
		return adg.Permanent(adg.Errorf(adg.Internal, "write a patch: %w", err))
	}
	body := a.body(map[string]any{"patch": string(text), "patchType": "json"})
	err = a.do(ctx, patch, "", nil, body, nil)
	if _, is := gone(err); err == nil || is || ctx.Err() != nil {
		return err
	}
	now, readErr := a.application(ctx)
	if readErr == nil && now.Metadata.ResourceVersion != from.Metadata.ResourceVersion {
		return errAgain
	}
	return err
}

func (a api) body(fields map[string]any) map[string]any {
	fields["name"] = a.name
	if a.namespace != "" {
		fields["appNamespace"] = a.namespace
	}
	return fields
}

// do sends a request about the Application; below is what follows its name in the address.
func (a api) do(ctx context.Context, method, below string, query url.Values, in, out any) error {
	return a.send(ctx, method, "/api/v1/applications/"+a.name+below, query, in, out)
}

func (a api) send(ctx context.Context, method, path string, query url.Values, in, out any) error {
	var body []byte
	if in != nil {
		var err error
		if body, err = json.Marshal(in); err != nil {
			return adg.Permanent(adg.Errorf(adg.Internal, "write a request: %w", err))
		}
	}
	to := a.base.JoinPath(strings.Split(path, "/")...)
	if a.namespace != "" && in == nil {
		if query == nil {
			query = url.Values{}
		}
		query.Set("appNamespace", a.namespace)
	}
	to.RawQuery = query.Encode()
	req, err := http.NewRequestWithContext(ctx, method, to.String(), bytes.NewReader(body))
	if err != nil {
		return adg.Permanent(adg.Errorf(adg.Invalid, "the address of the server is not valid"))
	}
	req.Header.Set("Accept", "application/json")
	if method != read {
		req.Header.Set("Content-Type", "application/json") // the server refuses changes without it
	}
	answer, err := a.client.Do(ctx, req)
	if err != nil {
		return a.refusal(answer, err)
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(answer.Body, out); err != nil {
		return adg.Errorf(adg.Unavailable, "%s %s: the answer is not what Argo CD documents: %s", method, to.Path, a.client.Scrub(err.Error()))
	}
	return nil
}

// refusal gives an error its kind. A precondition that fails, such as that no other operation is under way, may be met
// later.
func (a api) refusal(answer remote.Response, err error) error {
	const failedPrecondition = 9
	var said struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
	}
	switch {
	case answer.Status == http.StatusNotFound:
		return adg.Permanent(adg.Errorf(adg.NotFound, "there is no Application %s, or no such revision: %w", a.name, err))
	case answer.Status == http.StatusConflict,
		answer.Status == http.StatusBadRequest && json.Unmarshal(answer.Body, &said) == nil && said.Code == failedPrecondition:
		return adg.Errorf(adg.Unavailable, "Argo CD does not do this now: %s", a.client.Scrub(string(answer.Body)))
	}
	return err
}
