package broker

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/remote"
)

// Kafka is how a Kafka cluster is reached.
type Kafka struct {
	Brokers []string `yaml:"brokers" doc:"Addresses of brokers, as host:port; the others of the cluster are found through them."`
	Secure  bool     `yaml:"secure" doc:"Whether the brokers speak TLS."`
	SASL    string   `yaml:"sasl" doc:"How the user is proved: scram-sha-256, scram-sha-512 or plain."`
	Topic   string   `yaml:"topic" doc:"Name of the topic."`
	Options `yaml:",inline"`
}

// KafkaDefaults are the options that drivers start from.
func KafkaDefaults() Kafka { return Kafka{SASL: "scram-sha-256", Options: Defaults()} }

// Check reports every problem of the options at once.
func (k Kafka) Check() error {
	problems := []error{k.Options.Check()}
	for _, b := range k.Brokers {
		_, err := address("brokers", b, 9092)
		problems = append(problems, err)
	}
	if len(k.Brokers) == 0 {
		problems = append(problems, invalid("brokers: name at least one, as host:port"))
	}
	if _, err := k.mechanism(); err != nil {
		problems = append(problems, err)
	}
	wrong := func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("._-", r)
	}
	if k.Topic == "" || len(k.Topic) > 249 || strings.ContainsFunc(k.Topic, wrong) || strings.Trim(k.Topic, ".") == "" {
		problems = append(problems, invalid("topic %q: use 1 to 249 letters, digits, '.', '_' or '-'", k.Topic))
	}
	return errors.Join(problems...)
}

// Client makes a client, which connects when it is used first, with further options.
func (k Kafka) Client(further ...kgo.Opt) (*kgo.Client, error) {
	var seeds []string
	for _, b := range k.Brokers {
		seed, err := address("brokers", b, 9092)
		if err != nil {
			return nil, err
		}
		seeds = append(seeds, seed)
	}
	options := []kgo.Opt{
		kgo.SeedBrokers(seeds...), kgo.ClientID("adg"),
		kgo.MetadataMinAge(250 * time.Millisecond), kgo.RetryTimeout(k.Timeout), kgo.DisableClientMetrics(),
	}
	dial := remote.Dial
	if k.Secure {
		config, err := k.TLS.Config()
		if err != nil {
			return nil, err
		}
		dial = (&tls.Dialer{NetDialer: remote.Dialer(), Config: config}).DialContext
	}
	options = append(options, kgo.Dialer(dial))
	mechanism, err := k.mechanism()
	if err != nil {
		return nil, err
	}
	if mechanism != nil {
		options = append(options, kgo.SASL(mechanism))
	}
	client, err := kgo.NewClient(append(options, further...)...)
	if err != nil {
		return nil, invalid("kafka: %w", err)
	}
	return client, nil
}

// Failure says what an error of the library means: Permanent where the cluster refuses the user or what was asked.
func (k Kafka) Failure(ctx context.Context, what string, err error) error {
	refused := func(errs ...error) bool {
		return slices.ContainsFunc(errs, func(e error) bool { return errors.Is(err, e) })
	}
	said := k.said(fmt.Sprint(err))
	switch {
	case refused(kerr.SaslAuthenticationFailed, kerr.UnsupportedSaslMechanism, kerr.IllegalSaslState):
		return adg.Permanent(adg.Errorf(adg.Unauthorized, "%s: the cluster refused the user (%s): check username, password and sasl", what, said))
	case refused(kerr.TopicAuthorizationFailed, kerr.ClusterAuthorizationFailed, kerr.GroupAuthorizationFailed):
		return adg.Permanent(adg.Errorf(adg.Unauthorized, "%s: the user may not do that (%s): check the cluster's ACLs", what, said))
	case refused(kerr.MessageTooLarge, kerr.RecordListTooLarge, kerr.InvalidTopicException):
		return invalid("%s: the cluster refused it (%s)", what, said)
	case refused(kerr.UnknownTopicOrPartition, kerr.UnknownTopicID):
		return adg.Errorf(adg.Unavailable, "%s: there is no topic %s: make it", what, k.Topic)
	}
	if err := late(ctx, what); err != nil {
		return err
	}
	return adg.Errorf(adg.Unavailable, "%s: %s", what, k.said(remote.Explain(err)))
}

// Private

func (k Kafka) mechanism() (sasl.Mechanism, error) {
	if k.Username == "" {
		return nil, nil
	}
	user := scram.Auth{User: k.Username, Pass: k.Password.Reveal()}
	switch k.SASL {
	case "scram-sha-256":
		return user.AsSha256Mechanism(), nil
	case "scram-sha-512":
		return user.AsSha512Mechanism(), nil
	case "plain":
		return plain.Auth{User: user.User, Pass: user.Pass}.AsMechanism(), nil
	default:
		return nil, invalid("sasl %q: use scram-sha-256, scram-sha-512 or plain", k.SASL)
	}
}
