package broker_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/broker"
	"github.com/deployguardian/adg/internal/brokertest"
	"github.com/deployguardian/adg/internal/remote"
)

func TestAddressesThatAreNoneAreRefusedWithoutRepeatingThem(t *testing.T) {
	kafka := func(address string) error {
		k := broker.KafkaDefaults()
		k.Topic, k.Brokers = "adg", []string{address}
		return k.Check()
	}
	nats := func(address string) error { return broker.ValidNATS([]string{address}) }
	for _, c := range []struct {
		name    string
		check   func(string) error
		address string
		valid   bool
	}{
		{"RabbitMQ", broker.ValidRabbitMQ, "amqp://host:5672/vhost", true},
		{"RabbitMQ without a port", broker.ValidRabbitMQ, "amqps://host", true},
		{"RabbitMQ at an IPv6 address", broker.ValidRabbitMQ, "amqp://[::1]", true},
		{"RabbitMQ with a password", broker.ValidRabbitMQ, "amqp://user:hunter2@host", false},
		{"RabbitMQ with parameters", broker.ValidRabbitMQ, "amqp://host?auth_mechanism=hunter2", false},
		{"RabbitMQ by another protocol", broker.ValidRabbitMQ, "http://hunter2", false},
		{"RabbitMQ at the metadata service", broker.ValidRabbitMQ, "amqp://169.254.169.254:80", false},
		{"RabbitMQ nowhere", broker.ValidRabbitMQ, "", false},
		{"NATS", nats, "nats://host:4222", true},
		{"NATS with TLS, without a port", nats, "tls://host", true},
		{"NATS with a token", nats, "nats://hunter2@host", false},
		{"NATS at a port that is none", nats, "nats://hunter2:99999", false},
		{"NATS at the metadata service", nats, "nats://[fe80::1]:80", false},
		{"Kafka", kafka, "host:9092", true},
		{"Kafka without a port", kafka, "host", true},
		{"Kafka with a protocol", kafka, "kafka://hunter2:9092", false},
		{"Kafka with a password", kafka, "user:hunter2@host", false},
		{"Kafka at the metadata service", kafka, "169.254.169.254:9092", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := c.check(c.address)
			if (err == nil) != c.valid || strings.Contains(fmt.Sprint(err), "hunter2") {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestServersOfOneClusterAreReachedInOneWay(t *testing.T) {
	if err := broker.ValidNATS([]string{"nats://a", "tls://b"}); err == nil {
		t.Error("one is encrypted, and the other one is not")
	}
	if err := broker.ValidNATS(nil); err == nil {
		t.Error("no server is a server")
	}
}

func TestEverythingThatIsWrongIsToldAtOnce(t *testing.T) {
	err := broker.Options{Password: adg.NewSecret("x"), TLS: remote.TLS{CertFile: "a"}}.Check()
	for _, want := range []string{"timeout", "username", "tls.key_file"} {
		if !strings.Contains(fmt.Sprint(err), want) {
			t.Errorf("%q is missing in %v", want, err)
		}
	}
}

func TestNATSWithTLSIsTrustedIfItsCertificateIs(t *testing.T) {
	s := brokertest.NATSWithTLS(t)
	o := options()
	if _, err := broker.DialNATS(t.Context(), []string{"tls://" + s.Addr}, o); err == nil || adg.IsPermanent(err) || !strings.Contains(err.Error(), "tls.ca_file") {
		t.Errorf("a server that nobody vouches for: %v", err)
	}
	o.TLS.CAFile = s.Certificate.File
	n, err := broker.DialNATS(t.Context(), []string{"tls://" + s.Addr}, o)
	if err != nil {
		t.Fatal(err)
	}
	n.Close()
}

func TestKafkaWithTLSIsTrustedIfItsCertificateIs(t *testing.T) {
	s := brokertest.KafkaWithTLS(t, "adg")
	k := broker.KafkaDefaults()
	k.Topic, k.Brokers, k.Secure, k.Options = "adg", []string{s.Addr}, true, options()
	ping := func(k broker.Kafka, limit time.Duration) error {
		client, err := k.Client()
		if err != nil {
			return err
		}
		defer client.Close()
		ctx, cancel := context.WithTimeout(t.Context(), limit)
		defer cancel()
		if err := client.Ping(ctx); err != nil {
			return k.Failure(ctx, "pinging", err)
		}
		return nil
	}
	if err := ping(k, 3*time.Second); err == nil || adg.IsPermanent(err) {
		t.Errorf("a cluster that nobody vouches for: %v", err)
	}
	k.TLS.CAFile = s.Certificate.File
	if err := ping(k, time.Minute); err != nil {
		t.Error(err)
	}
}

// Private

func options() broker.Options {
	o := broker.Defaults()
	o.Username, o.Password = brokertest.User, adg.NewSecret(brokertest.Password)
	return o
}
