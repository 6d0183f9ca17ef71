package embedded

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/prometheus/common/model"

	"github.com/deployguardian/adg"
)

// Options say what is scraped, what may be pushed, and how much of it is kept.
type Options struct {
	Scrape []Job `yaml:"scrape" doc:"What is scraped: one entry per group of targets that are alike."`

	Retention        time.Duration `yaml:"retention" doc:"How long samples are kept; at least 2h."`
	MaxBytes         int64         `yaml:"max_bytes" doc:"How many bytes the samples may take on disk, the write-ahead log included; the oldest go first."`
	OutOfOrderWindow time.Duration `yaml:"out_of_order_window" doc:"How much older than the newest sample of its series a pushed sample may be."`
	SeriesLimit      int           `yaml:"series_limit" doc:"How many series may be live at once: pushes that would add more are refused with 429, scrapes that would go past twice that fail."`

	Listen  string     `yaml:"listen" doc:"Address for pushes, such as 127.0.0.1:9099: remote-write at /api/v1/write, OTLP metrics at /otlp/v1/metrics. Empty: none."`
	Token   adg.Secret `yaml:"token" doc:"What pushes carry as 'Authorization: Bearer'; required with listen."`
	MaxBody int64      `yaml:"max_body" doc:"How many bytes one push may have, as sent and unpacked; at most 33554432."`
}

// Job is a group of targets that are scraped alike.
type Job struct {
	Job           string            `yaml:"job" doc:"The job's name, the value of the label job; unique."`
	Targets       []string          `yaml:"targets" doc:"Addresses, such as 127.0.0.1:9000."`
	FileSD        []string          `yaml:"file_sd" doc:"Files that list targets in Prometheus' format, such as targets/*.json; changes are picked up within seconds."`
	Interval      time.Duration     `yaml:"interval" doc:"Time between two scrapes of a target; 15s unless set, at least 100ms."`
	Timeout       time.Duration     `yaml:"timeout" doc:"How long one scrape may take; unless set the interval, or 10s if that is shorter."`
	Path          string            `yaml:"path" doc:"Where the metrics are; /metrics unless set. A query string is sent along."`
	Scheme        string            `yaml:"scheme" doc:"http or https; http unless set."`
	Labels        map[string]string `yaml:"labels" doc:"Labels that every sample of the job gets."`
	BearerToken   adg.Secret        `yaml:"bearer_token" doc:"What scrapes carry as 'Authorization: Bearer'."`
	TLS           TLS               `yaml:"tls" doc:"How https targets are verified."`
	HonorLabels   bool              `yaml:"honor_labels" doc:"Whether the target's own labels win over the job's."`
	SampleLimit   int               `yaml:"sample_limit" doc:"A scrape with more samples fails; 50000 unless set."`
	BodySizeLimit int64             `yaml:"body_size_limit" doc:"A scrape with more bytes, unpacked, fails; 16777216 unless set."`
}

// TLS is how a job's https targets are verified, and what they are shown.
type TLS struct {
	CAFile             string `yaml:"ca_file" doc:"File with the certificates that sign the targets'; the system's unless set."`
	CertFile           string `yaml:"cert_file" doc:"File with the certificate that the targets are shown."`
	KeyFile            string `yaml:"key_file" doc:"File with that certificate's key."`
	ServerName         string `yaml:"server_name" doc:"The name that the targets' certificates must have, if it is not in the address."`
	InsecureSkipVerify bool   `yaml:"insecure_skip_verify" doc:"Whether any certificate will do."`
}

// Private

const (
	blockDuration = 2 * time.Hour
	minInterval   = 100 * time.Millisecond
	maxTimeout    = 10 * time.Second
	maxBody       = 32 << 20 // what the remote-write and OTLP decoders take at most
	minBytes      = 64 << 20
)

// fileSD is what the file discovery takes: a pattern in the last part of the path only, and a known extension.
var fileSD = regexp.MustCompile(`^[^*]*(\*[^/]*)?\.(json|yml|yaml|JSON|YML|YAML)$`)

func defaults() Options {
	return Options{
		Retention:        26 * time.Hour,
		MaxBytes:         2 << 30,
		OutOfOrderWindow: 10 * time.Minute,
		SeriesLimit:      100_000,
		MaxBody:          16 << 20,
	}
}

// withDefaults fills in what a list's entry cannot inherit from the driver's defaults.
func (j Job) withDefaults() Job {
	set(&j.Interval, 15*time.Second)
	set(&j.Timeout, min(j.Interval, maxTimeout))
	set(&j.Path, "/metrics")
	set(&j.Scheme, "http")
	set(&j.SampleLimit, 50_000)
	set(&j.BodySizeLimit, 16<<20)
	return j
}

func set[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// validate reports every problem at once.
func (o Options) validate() error {
	var p problems
	p.unless(o.Retention >= blockDuration, "retention: %s is shorter than %s, which one block holds", adg.Short(o.Retention), adg.Short(blockDuration))
	p.unless(o.MaxBytes >= minBytes, "max_bytes: %d is too little to work with: at least %d", o.MaxBytes, minBytes)
	p.unless(o.OutOfOrderWindow >= 0, "out_of_order_window: %s is negative", o.OutOfOrderWindow)
	p.unless(o.SeriesLimit > 0, "series_limit: %d is not positive", o.SeriesLimit)
	p.unless(o.MaxBody > 0 && o.MaxBody <= maxBody, "max_body: %d is not between 1 and %d", o.MaxBody, maxBody)
	if o.Listen != "" {
		_, _, err := net.SplitHostPort(o.Listen)
		p.unless(err == nil, "listen: %q is no address: write host:port", o.Listen)
		p.unless(o.Token.Reveal() != "", "token: who may push must be said when listen is set")
	}
	names := map[string]bool{}
	for i, j := range o.Scrape {
		j.validate(fmt.Sprintf("scrape[%d].", i), &p)
		p.unless(!names[j.Job], "scrape[%d].job: %q is there twice", i, j.Job)
		names[j.Job] = true
	}
	if len(p) == 0 {
		return nil
	}
	return adg.Errorf(adg.Invalid, "%w", errors.Join(p...))
}

func (j Job) validate(at string, p *problems) {
	p.unless(j.Job != "", "%sjob: a job needs a name", at)
	p.unless(len(j.Targets)+len(j.FileSD) > 0, "%stargets: a job needs targets or file_sd", at)
	for _, t := range j.Targets {
		_, _, err := net.SplitHostPort(t)
		p.unless(err == nil && !strings.ContainsAny(t, "/@ "), "%stargets: %q is no address: write host:port", at, t)
	}
	for _, f := range j.FileSD {
		p.unless(fileSD.MatchString(f), "%sfile_sd: %q must end in .json, .yml or .yaml, with a '*' in the file's name at most", at, f)
	}
	p.unless(j.Interval >= minInterval, "%sinterval: %s is shorter than %s", at, adg.Short(j.Interval), adg.Short(minInterval))
	p.unless(j.Timeout > 0 && j.Timeout <= j.Interval, "%stimeout: %s is not between 0 and the interval, %s", at, adg.Short(j.Timeout), adg.Short(j.Interval))
	path, err := url.Parse(j.Path)
	p.unless(err == nil && path.Host == "" && strings.HasPrefix(j.Path, "/"), "%spath: %q does not start with one '/'", at, j.Path)
	p.unless(j.Scheme == "http" || j.Scheme == "https", "%sscheme: %q is neither http nor https", at, j.Scheme)
	for name := range j.Labels {
		ok := model.LegacyValidation.IsValidLabelName(name) && !strings.HasPrefix(name, model.ReservedLabelPrefix)
		p.unless(ok, "%slabels: %q is no label that can be given", at, name)
	}
	p.unless(j.SampleLimit > 0, "%ssample_limit: %d is not positive", at, j.SampleLimit)
	p.unless(j.BodySizeLimit > 0, "%sbody_size_limit: %d is not positive", at, j.BodySizeLimit)
}

type problems []error

func (p *problems) unless(ok bool, format string, args ...any) {
	if !ok {
		*p = append(*p, fmt.Errorf(format, args...))
	}
}
