package embedded

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/alecthomas/units"
	"github.com/prometheus/client_golang/prometheus"
	config_util "github.com/prometheus/common/config"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/discovery/file"
	"github.com/prometheus/prometheus/discovery/targetgroup"
	"github.com/prometheus/prometheus/scrape"

	"github.com/deployguardian/adg"
)

// TargetHealth is how scraping one target goes.
type TargetHealth struct {
	Job        string
	URL        string    // without its query string
	Up         bool      // the last scrape was read and stored
	LastScrape time.Time // zero: there was none yet
	Err        string    // why the target is not up; empty before the first scrape
}

// Targets is the health of all targets that are scraped or about to be, by job and URL. A target from a file is among
// them once the file was read.
func (s *Source) Targets() []TargetHealth {
	var all []TargetHealth
	failure := s.sink.failure()
	known := map[string]bool{}
	for job, targets := range s.scraper.manager.TargetsActive() {
		for _, t := range targets {
			h := healthOf(job, t, failure)
			known[h.Job+" "+h.URL] = true
			all = append(all, h)
		}
	}
	for _, j := range s.scraper.jobs {
		for _, address := range j.Targets {
			h := TargetHealth{Job: j.Job, URL: j.url(address)}
			if !known[h.Job+" "+h.URL] {
				all = append(all, h)
			}
		}
	}
	slices.SortFunc(all, func(a, b TargetHealth) int {
		return strings.Compare(a.Job+" "+a.URL, b.Job+" "+b.URL)
	})
	return all
}

// Private

const (
	reloadInterval  = 500 * time.Millisecond // between looks at whether the targets have changed
	refreshInterval = 15 * time.Second       // between looks at target files whose change was not noticed
	stopGrace       = 2 * time.Second        // for scrapes under way
	targetLimit     = 1_000                  // per job
	maxErrText      = 300
)

func healthOf(job string, t *scrape.Target, failure error) TargetHealth {
	u := t.URL()
	u.RawQuery = "" // may hold a secret
	h := TargetHealth{Job: job, URL: u.String(), LastScrape: t.LastScrape(), Up: t.Health() == scrape.HealthGood}
	switch err := t.LastError(); {
	case err != nil:
		h.Err = plain(err)
	case failure != nil && !h.LastScrape.IsZero():
		h.Up, h.Err = false, "its samples cannot be stored: "+plain(failure)
	}
	return h
}

// plain is an error as one bounded line without the URL that it was asked at. Targets can write into it.
func plain(err error) string {
	if at, ok := errors.AsType[*url.Error](err); ok {
		err = at.Err
	}
	text := strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, err.Error())
	if len(text) > maxErrText {
		text = strings.ToValidUTF8(text[:maxErrText], "") + "…"
	}
	return text
}

// scraper runs the scrape manager and tells it the targets.
type scraper struct {
	manager *scrape.Manager
	dialer  *dialer
	jobs    []Job

	stop  context.CancelFunc
	feeds sync.WaitGroup // whatever may write into sets
	sets  chan map[string][]*targetgroup.Group
	done  chan struct{} // the manager has stopped listening to sets

	mu     sync.Mutex
	groups map[string]map[string]*targetgroup.Group // by job and where the group is from
}

func scrapeAll(jobs []Job, sink *sink, registry prometheus.Registerer, log *slog.Logger) (*scraper, error) {
	s := &scraper{
		jobs:   jobs,
		dialer: newDialer(jobs),
		sets:   make(chan map[string][]*targetgroup.Group),
		done:   make(chan struct{}),
		groups: map[string]map[string]*targetgroup.Group{},
	}
	cfg, err := config.Load("", log)
	if err != nil {
		return nil, adg.Errorf(adg.Internal, "load the scrape manager's defaults: %w", err)
	}
	var files []*fileFeed
	for _, j := range jobs {
		jobCfg, err := j.config(cfg.GlobalConfig)
		if err != nil {
			return nil, err
		}
		cfg.ScrapeConfigs = append(cfg.ScrapeConfigs, jobCfg)
		s.groups[j.Job] = map[string]*targetgroup.Group{"": j.static()}
		if len(j.FileSD) > 0 {
			feed, err := j.files(log)
			if err != nil {
				return nil, err
			}
			files = append(files, feed)
		}
	}
	s.manager, err = scrape.NewManager(&scrape.Options{
		DiscoveryReloadInterval:  model.Duration(reloadInterval),
		DiscoveryReloadOnStartup: true,
		HTTPClientOptions:        []config_util.HTTPClientOption{config_util.WithDialContextFunc(s.dialer.dial)},
	}, log, nil, nil, sink, registry)
	if err != nil {
		return nil, adg.Errorf(adg.Internal, "make the scrape manager: %w", err)
	}
	s.start(cfg, files, log)
	return s, nil
}

// start is not waited for: the manager looks the host's name up to spread scrapes, and that can take a while.
func (s *scraper) start(cfg *config.Config, files []*fileFeed, log *slog.Logger) {
	ctx, stop := context.WithCancel(context.Background())
	s.stop = stop
	go func() {
		defer close(s.done)
		if err := s.manager.ApplyConfig(cfg); err != nil {
			log.Error("nothing is scraped", "err", err)
			return
		}
		if err := s.manager.Run(s.sets); err != nil {
			log.Error("nothing is scraped any more", "err", err)
		}
	}()
	s.feeds.Go(func() { s.update(ctx, "", nil) })
	for _, f := range files {
		s.feeds.Go(func() { f.discovery.Run(ctx, f.found) })
		s.feeds.Go(func() {
			for {
				select {
				case groups := <-f.found:
					s.update(ctx, f.job.Job, f.job.labelled(groups))
				case <-ctx.Done():
					return
				}
			}
		})
	}
}

// update tells the manager all targets, groups of the job being new or changed.
func (s *scraper) update(ctx context.Context, job string, groups []*targetgroup.Group) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, g := range groups {
		s.groups[job][g.Source] = g
	}
	sets := make(map[string][]*targetgroup.Group, len(s.groups))
	for name, bySource := range s.groups {
		sets[name] = slices.Collect(maps.Values(bySource))
	}
	select {
	case s.sets <- sets:
	case <-s.done:
	case <-ctx.Done():
	}
}

// close ends all scraping. The manager forgets its targets before it is stopped: left to itself it could make a pool
// for them afterwards, and nobody would stop that.
func (s *scraper) close() {
	s.stop()
	s.feeds.Wait()
	select {
	case s.sets <- map[string][]*targetgroup.Group{}:
	case <-s.done:
	}
	close(s.sets)
	<-s.done
	cut := time.AfterFunc(stopGrace, s.dialer.close)
	s.manager.Stop()
	cut.Stop()
	s.dialer.close()
}

// fileFeed is what the target files of one job say.
type fileFeed struct {
	job       Job
	discovery *file.Discovery
	found     chan []*targetgroup.Group
}

func (j Job) files(log *slog.Logger) (*fileFeed, error) {
	sd := &file.SDConfig{Files: j.FileSD, RefreshInterval: model.Duration(refreshInterval)}
	metrics := sd.NewDiscovererMetrics(prometheus.NewRegistry(), nil)
	d, err := file.NewDiscovery(sd, log.With("job", j.Job), metrics)
	if err != nil {
		return nil, adg.Errorf(adg.Internal, "job %s: watch its target files: %w", j.Job, err)
	}
	return &fileFeed{job: j, discovery: d, found: make(chan []*targetgroup.Group)}, nil
}

func (j Job) config(global config.GlobalConfig) (*config.ScrapeConfig, error) {
	path, err := url.Parse(j.Path)
	if err != nil {
		return nil, adg.Errorf(adg.Invalid, "job %s: path: %w", j.Job, err)
	}
	c := config.DefaultScrapeConfig
	c.JobName = j.Job
	c.HonorLabels = j.HonorLabels
	c.Params = path.Query()
	c.MetricsPath = path.Path
	c.Scheme = j.Scheme
	c.ScrapeInterval = model.Duration(j.Interval)
	c.ScrapeTimeout = model.Duration(j.Timeout)
	c.ScrapeFallbackProtocol = config.PrometheusText0_0_4
	c.SampleLimit = uint(j.SampleLimit)
	c.TargetLimit = targetLimit
	c.KeepDroppedTargets = targetLimit
	c.BodySizeLimit = units.Base2Bytes(j.BodySizeLimit)
	c.HTTPClientConfig = config_util.HTTPClientConfig{TLSConfig: config_util.TLSConfig{
		CAFile: j.TLS.CAFile, CertFile: j.TLS.CertFile, KeyFile: j.TLS.KeyFile,
		ServerName: j.TLS.ServerName, InsecureSkipVerify: j.TLS.InsecureSkipVerify,
	}}
	if token := j.BearerToken.Reveal(); token != "" {
		c.HTTPClientConfig.Authorization = &config_util.Authorization{Type: "Bearer", Credentials: config_util.Secret(token)}
	}
	// The manager makes the client again; made here, a certificate that cannot be read is an error of Open.
	if _, err := config_util.NewClientFromConfig(c.HTTPClientConfig, j.Job); err != nil {
		return nil, adg.Errorf(adg.Invalid, "job %s: tls: %w", j.Job, err)
	}
	if err := c.Validate(global); err != nil {
		return nil, adg.Errorf(adg.Invalid, "job %s: %w", j.Job, err)
	}
	return &c, nil
}

func (j Job) static() *targetgroup.Group {
	g := &targetgroup.Group{Labels: j.labelSet()}
	for _, address := range j.Targets {
		g.Targets = append(g.Targets, model.LabelSet{model.AddressLabel: model.LabelValue(address)})
	}
	return g
}

// labelled is groups with the job's labels, those of the file winning. Of the labels that steer a scrape a file has
// the path, the scheme and the query; how often, and through which socket, is not its business.
func (j Job) labelled(groups []*targetgroup.Group) []*targetgroup.Group {
	all := make([]*targetgroup.Group, len(groups))
	for i, g := range groups {
		labels := j.labelSet()
		for name, value := range g.Labels {
			steers := strings.HasPrefix(string(name), model.ReservedLabelPrefix)
			allowed := name == model.MetricsPathLabel || name == model.SchemeLabel || strings.HasPrefix(string(name), model.ParamLabelPrefix)
			if !steers || allowed {
				labels[name] = value
			}
		}
		all[i] = &targetgroup.Group{Source: g.Source, Targets: g.Targets, Labels: labels}
	}
	return all
}

func (j Job) labelSet() model.LabelSet {
	set := model.LabelSet{}
	for name, value := range j.Labels {
		set[model.LabelName(name)] = model.LabelValue(value)
	}
	return set
}

func (j Job) url(address string) string {
	path, _, _ := strings.Cut(j.Path, "?")
	return (&url.URL{Scheme: j.Scheme, Host: address, Path: path}).String()
}
