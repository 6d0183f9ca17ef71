package swarm

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/swarm"
	"github.com/moby/moby/client"

	"github.com/deployguardian/adg"
)

// A record is how a service ran a release: image, environment, mounts, limits and all. It is kept in a config of the
// swarm, which holds it as safely as the service itself and knows more of the past than the one previous spec that the
// engine keeps.
const (
	recordService  = "adg.service"
	recordIdentity = "adg.identity"
	keptRecords    = 10 // per service
)

// keep records how the service runs its release now, and forgets the oldest records.
func (e *engine) keep(ctx context.Context, s swarm.Service) error {
	identity := s.Spec.TaskTemplate.ContainerSpec.Image
	if labelled(s.Spec.TaskTemplate.ContainerSpec) {
		identity = s.Spec.TaskTemplate.ContainerSpec.Labels[identityLabel]
	}
	data, err := json.Marshal(s.Spec.TaskTemplate)
	if err != nil {
		return adg.Errorf(adg.Internal, "record service %s: %w", s.Spec.Name, err)
	}
	records, err := e.records(ctx, s.Spec.Name)
	if err != nil {
		return err
	}
	newest := slices.IndexFunc(records, func(c swarm.Config) bool { return c.Spec.Labels[recordIdentity] == identity })
	if newest >= 0 && bytes.Equal(records[newest].Spec.Data, data) {
		return nil
	}
	sum := sha256.Sum256([]byte(s.ID + "\n" + identity + "\n" + s.Version.String()))
	spec := swarm.ConfigSpec{
		Annotations: swarm.Annotations{
			Name:   "adg-" + hex.EncodeToString(sum[:16]),
			Labels: map[string]string{recordService: s.Spec.Name, recordIdentity: identity},
		},
		Data: data,
	}
	err = e.call(ctx, "record service "+s.Spec.Name, func(ctx context.Context) error {
		_, err := e.api.ConfigCreate(ctx, client.ConfigCreateOptions{Spec: spec})
		if errdefs.IsConflict(err) {
			return nil // an attempt before this one was here
		}
		return err
	})
	if err != nil {
		return err
	}
	for _, old := range records[min(len(records), keptRecords-1):] {
		err := e.call(ctx, "forget a record of service "+s.Spec.Name, func(ctx context.Context) error {
			_, err := e.api.ConfigRemove(ctx, old.ID, client.ConfigRemoveOptions{})
			if errdefs.IsNotFound(err) {
				return nil
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// recorded is how the service ran a release last; nil: there is no record.
func (e *engine) recorded(ctx context.Context, service string, r adg.Release) (*swarm.TaskSpec, error) {
	records, err := e.records(ctx, service)
	if err != nil {
		return nil, err
	}
	for _, c := range records {
		var spec swarm.TaskSpec
		if json.Unmarshal(c.Spec.Data, &spec) == nil && spec.ContainerSpec != nil && runs(spec.ContainerSpec, r) {
			return &spec, nil
		}
	}
	return nil, nil
}

// Private

// records are those of one service, the newest first.
func (e *engine) records(ctx context.Context, service string) (records []swarm.Config, err error) {
	err = e.call(ctx, "read the records of service "+service, func(ctx context.Context) error {
		result, err := e.api.ConfigList(ctx, client.ConfigListOptions{Filters: make(client.Filters).Add("label", recordService+"="+service)})
		records = result.Items
		return err
	})
	slices.SortFunc(records, func(a, b swarm.Config) int { return b.CreatedAt.Compare(a.CreatedAt) })
	return records, err
}
