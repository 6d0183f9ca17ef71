package broker

import (
	"context"
	"errors"
	"net"
	"strings"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/remote"
)

// RabbitMQ is a connection with one channel. It is not safe for concurrent use.
type RabbitMQ struct {
	Channel *amqp.Channel
	o       Options
	conn    *amqp.Connection
	raw     net.Conn
}

// ValidRabbitMQ refuses what is not an address of a RabbitMQ server: amqp://host:port/vhost or amqps://.
func ValidRabbitMQ(text string) error {
	_, _, err := rabbitURI(text)
	return err
}

// DialRabbitMQ connects and opens a channel. An error is Permanent where the server refused the user or the vhost, and
// Unavailable otherwise; it comes once ctx is done at the latest.
func DialRabbitMQ(ctx context.Context, text string, o Options) (*RabbitMQ, error) {
	address, vhost, err := rabbitURI(text)
	if err != nil {
		return nil, err
	}
	r := &RabbitMQ{o: o}
	properties := amqp.NewConnectionProperties()
	properties.SetClientConnectionName("adg")
	config := amqp.Config{
		Vhost: vhost, Heartbeat: 10 * time.Second, Properties: properties, SASL: []amqp.Authentication{login{o, properties}},
	}
	stop := func() bool { return true }
	config.Dial = func(network, address string) (net.Conn, error) {
		raw, err := remote.Dial(ctx, network, address)
		if err == nil {
			// The library's handshake knows no context: cutting the connection is what ends it.
			r.raw, stop = raw, context.AfterFunc(ctx, func() { raw.Close() })
		}
		return raw, err
	}
	if config.TLSClientConfig, err = o.secured(""); err != nil { // the library fills in the host
		return nil, err
	}
	r.conn, err = amqp.DialConfig(address, config)
	if err == nil {
		r.Channel, err = r.conn.Channel()
	}
	stop()
	if err != nil {
		r.Cut()
		return nil, r.Failure(ctx, "connecting to RabbitMQ", err)
	}
	return r, nil
}

// Until runs f, and cuts the connection if ctx is done before f is: that ends every wait of the library.
func (r *RabbitMQ) Until(ctx context.Context, f func() error) error {
	defer context.AfterFunc(ctx, func() { r.raw.Close() })()
	return f()
}

// Broken tells whether the connection or the channel has ended.
func (r *RabbitMQ) Broken() bool { return r.conn.IsClosed() || r.Channel.IsClosed() }

// Cut ends the connection at once.
func (r *RabbitMQ) Cut() {
	if r.raw != nil {
		r.raw.Close()
	}
	if r.conn != nil {
		_ = r.conn.CloseDeadline(time.Unix(1, 0)) // nothing is left to be said on it
	}
}

// Close says good-bye to the server and ends the connection, within a second.
func (r *RabbitMQ) Close() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = r.Until(ctx, r.conn.Close) // whatever it answers, there is nothing more to lose
	r.Cut()
}

// Failure says what an error of the library means: Permanent where the server refuses what was asked and would again.
func (r *RabbitMQ) Failure(ctx context.Context, what string, err error) error {
	if err := late(ctx, what); err != nil {
		return err
	}
	e, ok := errors.AsType[*amqp.Error](err)
	if errors.Is(err, amqp.ErrCredentials) { // which stands for any end of the connection at that point
		return adg.Errorf(adg.Unavailable, "%s: the server hung up during the login", what)
	}
	if !ok || !e.Server {
		return adg.Errorf(adg.Unavailable, "%s: %s", what, r.o.said(remote.Explain(err)))
	}
	switch e.Code {
	case amqp.AccessRefused:
		return adg.Permanent(adg.Errorf(adg.Unauthorized, "%s: the server refused the user (%s): check username, password and what the user may do", what, r.o.said(e.Reason)))
	case amqp.NotAllowed:
		return invalid("%s: the server refused (%s): check the vhost at the end of the url", what, r.o.said(e.Reason))
	case amqp.NotFound, amqp.PreconditionFailed, amqp.InvalidPath:
		return invalid("%s: the server refused (%s): check the names of exchange and queue and what they were declared as", what, r.o.said(e.Reason))
	default:
		return adg.Errorf(adg.Unavailable, "%s: the server failed (%d %s)", what, e.Code, r.o.said(e.Reason))
	}
}

// Private

// login is the PLAIN mechanism. It is the last thing that the library asks before it introduces itself, which is why it
// announces what the library does not: that the server may say why it refuses a user. Otherwise the server waits for
// seconds and hangs up, and a wrong password looks like a broken network.
type login struct {
	o          Options
	properties amqp.Table
}

// Mechanism is the name of the mechanism.
func (login) Mechanism() string { return "PLAIN" }

// Response is what the server checks.
func (l login) Response() string {
	if capabilities, ok := l.properties["capabilities"].(amqp.Table); ok {
		capabilities["authentication_failure_close"] = true
	}
	user, password := l.o.Username, l.o.Password.Reveal()
	if user == "" {
		user, password = "guest", "guest" // what a server without users takes, from its own machine only
	}
	return "\x00" + user + "\x00" + password
}

// rabbitURI is the address without its path, and the vhost that the path names.
func rabbitURI(text string) (base, vhost string, err error) {
	u, err := parse("url", text, "amqp", "amqps")
	if err != nil {
		return "", "", err
	}
	port := 5672
	if u.Scheme == "amqps" {
		port = 5671
	}
	host, err := address("url", u.Host, port)
	if err != nil {
		return "", "", err
	}
	vhost = strings.TrimPrefix(u.Path, "/")
	if vhost == "" {
		vhost = "/"
	}
	return u.Scheme + "://" + host, vhost, nil
}
