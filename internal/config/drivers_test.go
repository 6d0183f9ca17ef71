package config_test

import (
	"context"
	"time"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/config"
)

// transport is what several drivers share, as theirs do.
type transport struct {
	Timeout     time.Duration         `yaml:"timeout" doc:"How long one request may take."`
	BearerToken adg.Secret            `yaml:"bearer_token" doc:"What requests carry as their token."`
	Headers     map[string]adg.Secret `yaml:"headers" doc:"Headers whose values are secret."`
	TLS         tlsOptions            `yaml:"tls" doc:"How the server is verified."`
}

type tlsOptions struct {
	CAFile             string `yaml:"ca_file" doc:"File with the certificates of the authority."`
	InsecureSkipVerify bool   `yaml:"insecure_skip_verify" doc:"Whether any certificate will do."`
}

type prometheusOptions struct {
	URL       string `yaml:"url" doc:"Where the server is."`
	transport `yaml:",inline"`
}

type mode uint8

func (m mode) MarshalText() ([]byte, error) {
	if m > 1 {
		return nil, adg.Errorf(adg.Internal, "no mode")
	}
	return []byte([]string{"value", "probe"}[m]), nil
}

func (m *mode) UnmarshalText(text []byte) error {
	switch string(text) {
	case "value":
		*m = 0
	case "probe":
		*m = 1
	default:
		return adg.Errorf(adg.Invalid, "unknown mode")
	}
	return nil
}

func (m mode) String() string { return []string{"value", "probe"}[m] }

type commandOptions struct {
	Path  string            `yaml:"path" doc:"The program."`
	Args  []string          `yaml:"args" doc:"Its arguments."`
	As    mode              `yaml:"as" doc:"What its output is."`
	Env   map[string]string `yaml:"env" doc:"Its environment."`
	Exits []int             `yaml:"exits" doc:"Exit statuses that are no failure."`
}

type job struct {
	Job      string            `yaml:"job" doc:"Its name."`
	Targets  []string          `yaml:"targets" doc:"What is scraped."`
	Interval time.Duration     `yaml:"interval" doc:"How often."`
	Labels   map[string]string `yaml:"labels" doc:"Labels of all samples."`
	Token    adg.Secret        `yaml:"token" doc:"What scrapes carry."`
}

type embeddedOptions struct {
	Scrape   []job   `yaml:"scrape" doc:"What is scraped."`
	MaxBytes int64   `yaml:"max_bytes" doc:"How much is kept."`
	Port     uint16  `yaml:"port" doc:"Where pushes are taken."`
	Ratio    float64 `yaml:"ratio" doc:"How much of it."`
}

type httpOptions struct {
	URL    string `yaml:"url" doc:"What is asked."`
	Status []int  `yaml:"status" doc:"Which answers are good."`
}

type programTarget struct {
	Apply   program               `yaml:"apply" doc:"Makes a state live."`
	Current program               `yaml:"current" doc:"Prints what is live."`
	Secrets map[string]adg.Secret `yaml:"secrets" doc:"Variables whose values are secret."`
	Shares  bool                  `yaml:"shares" doc:"Whether it splits traffic."`
}

type program struct {
	Path    string        `yaml:"path" doc:"The program."`
	Args    []string      `yaml:"args" doc:"Its arguments."`
	Timeout time.Duration `yaml:"timeout" doc:"How long it may run."`
}

type kubernetesOptions struct {
	Namespace  string `yaml:"namespace" doc:"Where it is."`
	Deployment string `yaml:"deployment" doc:"Which deployment it is."`
}

type slackOptions struct {
	Webhook adg.Secret `yaml:"webhook" doc:"Where it is posted."`
	Mention string     `yaml:"mention" doc:"Who is called."`
}

type logOptions struct {
	Path string `yaml:"path" doc:"The file that is written."`
}

func openSource[O any](context.Context, O, adg.Host) (adg.Source, error)     { return nil, nil }
func openTarget[O any](context.Context, O, adg.Host) (adg.Target, error)     { return nil, nil }
func openNotifier[O any](context.Context, O, adg.Host) (adg.Notifier, error) { return nil, nil }

func drivers() config.Drivers {
	return config.Drivers{
		Sources: []adg.SourceDriver{
			adg.NewSourceDriver("prometheus", "Asks a Prometheus server.", prometheusOptions{transport: transport{Timeout: 10 * time.Second}}, openSource[prometheusOptions]),
			adg.NewSourceDriver("embedded", "Scrapes and stores by itself.", embeddedOptions{MaxBytes: 1 << 30, Ratio: 0.5}, openSource[embeddedOptions]),
			adg.NewSourceDriver("http", "Asks a page for its status.", httpOptions{Status: []int{200}}, openSource[httpOptions]),
			adg.NewSourceDriver("tcp", "Connects.", struct {
				Address string `yaml:"address" doc:"Where to."`
			}{}, openSource[struct {
				Address string `yaml:"address" doc:"Where to."`
			}]),
			adg.NewSourceDriver("command", "Runs a program.", commandOptions{}, openSource[commandOptions]),
		},
		Targets: []adg.TargetDriver{
			adg.NewTargetDriver("command", "Runs your programs.", programTarget{Apply: program{Timeout: 5 * time.Minute}}, openTarget[programTarget]),
			adg.NewTargetDriver("kubernetes", "Changes a deployment.", kubernetesOptions{Namespace: "default"}, openTarget[kubernetesOptions]),
		},
		Notifiers: []adg.NotifierDriver{
			adg.NewNotifierDriver("slack", "Posts to a channel.", slackOptions{}, openNotifier[slackOptions]),
			adg.NewNotifierDriver("log", "Writes to a file.", logOptions{}, openNotifier[logOptions]),
		},
	}
}

// secrets are the environment of the tests.
var secrets = map[string]string{"SLACK_URL": "https://hooks.example/planted-slack", "PROM_TOKEN": "planted-token", "EMPTY": ""}

func env(name string) (string, bool) {
	value, found := secrets[name]
	return value, found
}
