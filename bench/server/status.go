package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	adgv1 "github.com/deployguardian/adg/proto/adg/v1"
)

// speed is how fast requests were answered, one after the other by each client.
type speed struct {
	PerSecond float64 `json:"per_s"`
	P50       float64 `json:"p50_ms"`
	P99       float64 `json:"p99_ms"`
}

// beside is one kind of request, answered by ADG and by a server that does nothing but send the same answer.
type beside struct {
	ADG      speed   `json:"adg"`
	Baseline speed   `json:"baseline"`
	Ratio    float64 `json:"p99_ratio"`
}

// status reads the state of a deployment over REST and over gRPC. Servers and clients share the machine.
func status(ctx context.Context, r *rig, l load) (map[string]beside, error) {
	if err := r.start(ctx, 1); err != nil {
		return nil, err
	}
	c, err := r.client(0)
	if err != nil {
		return nil, err
	}
	defer func() { _ = c.Close() }()
	if err := r.launch(ctx, load{Deployments: 1, Checks: 10, Interval: 30 * time.Second, Clients: 1}, nil); err != nil {
		return nil, err
	}
	list, err := c.Deployments.ListDeployments(ctx, &adgv1.ListDeploymentsRequest{})
	if err != nil {
		return nil, err
	}
	id := list.GetDeployments()[0].GetId()
	rest := &reader{client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: l.Clients}}, url: r.replicas[0].address + "/v1/deployments/" + id, token: r.token}
	text, err := rest.read(ctx)
	if err != nil {
		return nil, err
	}
	message, err := c.Deployments.GetDeployment(ctx, &adgv1.GetDeploymentRequest{Id: id})
	if err != nil {
		return nil, err
	}
	plain, plainRPC, err := baselines(r, text, message)
	if err != nil {
		return nil, err
	}
	kinds := map[string]func(context.Context) error{
		"rest/adg": rest.discard, "rest/baseline": (&reader{client: rest.client, url: plain}).discard,
		"grpc/adg": func(ctx context.Context) error {
			_, err := c.Deployments.GetDeployment(ctx, &adgv1.GetDeploymentRequest{Id: id})
			return err
		},
		"grpc/baseline": func(ctx context.Context) error {
			_, err := plainRPC.GetDeployment(ctx, &adgv1.GetDeploymentRequest{Id: id})
			return err
		},
	}
	return alternate(ctx, l, kinds)
}

// Private

// rounds is how often the kinds take turns.
const rounds = 4

func alternate(ctx context.Context, l load, kinds map[string]func(context.Context) error) (map[string]beside, error) {
	took := map[string][]time.Duration{}
	wall := map[string]time.Duration{}
	for range rounds {
		for _, kind := range []string{"rest/adg", "rest/baseline", "grpc/adg", "grpc/baseline"} {
			all, spent, err := repeat(ctx, l.Clients, l.For/rounds, kinds[kind])
			if err != nil {
				return nil, fmt.Errorf("%s: %w", kind, err)
			}
			took[kind] = append(took[kind], all...)
			wall[kind] += spent
		}
	}
	result := map[string]beside{}
	for _, way := range []string{"rest", "grpc"} {
		one := beside{ADG: speedOf(took[way+"/adg"], wall[way+"/adg"]), Baseline: speedOf(took[way+"/baseline"], wall[way+"/baseline"])}
		one.Ratio = one.ADG.P99 / one.Baseline.P99
		result[way] = one
	}
	return result, nil
}

// repeat has clients do the same again and again for a while, and gives how long each took.
func repeat(ctx context.Context, clients int, d time.Duration, do func(context.Context) error) ([]time.Duration, time.Duration, error) {
	var mu sync.Mutex
	var all []time.Duration
	var failed error
	var parts sync.WaitGroup
	begin := time.Now()
	for range clients {
		parts.Go(func() {
			var mine []time.Duration
			var err error
			for time.Since(begin) < d && err == nil {
				at := time.Now()
				err = do(ctx)
				mine = append(mine, time.Since(at))
			}
			mu.Lock()
			defer mu.Unlock()
			all = append(all, mine...)
			if err != nil {
				failed = err
			}
		})
	}
	parts.Wait()
	return all, time.Since(begin), failed
}

func speedOf(took []time.Duration, wall time.Duration) speed {
	slices.Sort(took)
	at := func(q float64) float64 { return float64(took[int(q*float64(len(took)-1))].Microseconds()) / 1000 }
	return speed{PerSecond: float64(len(took)) / wall.Seconds(), P50: at(0.5), P99: at(0.99)}
}

// baselines are servers that send what ADG sent, and do nothing else.
func baselines(r *rig, text []byte, message *adgv1.Deployment) (string, adgv1.DeploymentServiceClient, error) {
	plain, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // it listens at once
	if err != nil {
		return "", nil, err
	}
	web := &http.Server{ReadHeaderTimeout: time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(text)
	})}
	go func() { _ = web.Serve(plain) }()
	rpc, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // it listens at once
	if err != nil {
		return "", nil, err
	}
	server := grpc.NewServer()
	adgv1.RegisterDeploymentServiceServer(server, &same{message: message})
	go func() { _ = server.Serve(rpc) }()
	conn, err := grpc.NewClient("passthrough:///"+rpc.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return "", nil, err
	}
	r.ends = append(r.ends, func() { _ = conn.Close(); server.Stop(); _ = web.Close() })
	return "http://" + plain.Addr().String(), adgv1.NewDeploymentServiceClient(conn), nil
}

// same answers everything with one deployment.
type same struct {
	adgv1.UnimplementedDeploymentServiceServer
	message *adgv1.Deployment
}

// GetDeployment gives it.
func (s *same) GetDeployment(context.Context, *adgv1.GetDeploymentRequest) (*adgv1.Deployment, error) {
	return s.message, nil
}

// reader reads one address.
type reader struct {
	client     *http.Client
	url, token string
}

func (r *reader) discard(ctx context.Context) error {
	_, err := r.read(ctx)
	return err
}

func (r *reader) read(ctx context.Context) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, r.url, nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Authorization", "Bearer "+r.token)
	answer, err := r.client.Do(request)
	if err != nil {
		return nil, err
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", answer.Status, text)
	}
	return text, err
}
