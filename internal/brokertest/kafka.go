package brokertest

import (
	"strconv"
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"
)

// KafkaCluster is a cluster of one broker that stores on disk. It is no real Kafka, for which there is no package that a
// test could install, but kfake: the implementation of Kafka's protocol that the client library is tested with.
type KafkaCluster struct {
	*kfake.Cluster
	Addr        string       // host:port of the broker
	Certificate *Certificate // of TLS, if it speaks that
	port        int
	dir         string
	topics      []string
}

// Kafka starts a cluster with topics of three partitions. The user is proved by scram-sha-256.
func Kafka(t *testing.T, topics ...string) *KafkaCluster {
	t.Helper()
	return startKafka(t, nil, topics...)
}

// KafkaWithTLS starts one that speaks nothing but TLS.
func KafkaWithTLS(t *testing.T, topics ...string) *KafkaCluster {
	t.Helper()
	return startKafka(t, NewCertificate(t), topics...)
}

// Start starts the cluster, or starts it again after Close with what it has stored.
func (k *KafkaCluster) Start(t *testing.T) {
	t.Helper()
	options := []kfake.Opt{kfake.NumBrokers(1), kfake.Ports(k.port), kfake.SeedTopics(3, k.topics...), kfake.DataDir(k.dir), kfake.SyncWrites(),
		kfake.EnableSASL(), kfake.EnableACLs(), kfake.Superuser("SCRAM-SHA-256", User, Password), kfake.User("SCRAM-SHA-256", "stranger", Password)}
	if k.Certificate != nil {
		options = append(options, kfake.TLS(k.Certificate.TLS))
	}
	cluster, err := kfake.NewCluster(options...)
	if err != nil {
		t.Fatal(err)
	}
	k.Cluster = cluster
}

// Private

func startKafka(t *testing.T, cert *Certificate, topics ...string) *KafkaCluster {
	t.Helper()
	number, err := strconv.Atoi(port(t))
	if err != nil {
		t.Fatal(err)
	}
	k := &KafkaCluster{Addr: "127.0.0.1:" + strconv.Itoa(number), Certificate: cert, port: number, dir: t.TempDir(), topics: topics}
	k.Start(t)
	t.Cleanup(func() { k.Close() })
	return k
}
