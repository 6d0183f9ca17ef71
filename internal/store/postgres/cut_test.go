package postgres

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/store/postgres/pgtest"
)

// moment is when the connection is cut.
type moment int32

const (
	never moment = iota
	beforeCommit
	afterCommit
)

func TestConnectionThatIsCutAroundTheCommitIsNeverAWrongSuccess(t *testing.T) {
	for name, c := range map[string]struct {
		cut    moment
		stored bool
	}{
		"the server never saw the commit": {beforeCommit, false},
		"only the answer was lost":        {afterCommit, true},
	} {
		t.Run(name, func(t *testing.T) {
			dsn := fresh(t)
			direct := opened(t, dsn)
			p := startProxy(t, dsn)
			s := opened(t, p.dsn)
			create(t, direct, "d0", "s0")
			w := takeAll(t, direct, 1)[0]
			tick := plain(t, w)
			tick.Decision.Facts = []adg.Fact{{ID: "f0", Deployment: "d0"}}

			p.cut.Store(int32(c.cut))
			_, err := s.Commit(t.Context(), tick)
			if adg.CodeOf(err) != adg.Unavailable {
				t.Fatalf("got %v, want an error that is unavailable", err)
			}
			_, err = s.AppendAudit(t.Context(), adg.AuditEntry{Actor: "alice"})
			if adg.CodeOf(err) != adg.Unavailable {
				t.Fatalf("got %v, want an error that is unavailable", err)
			}
			p.cut.Store(int32(never))

			facts, err := direct.Facts(t.Context(), "d0")
			must(t, err)
			log, err := direct.Audit(t.Context(), adg.AuditFilter{})
			must(t, err)
			if (len(facts) == 1) != c.stored || (len(log) == 1) != c.stored {
				t.Errorf("stored: %v and %v, want %t", facts, log, c.stored)
			}
			_, err = s.Commit(t.Context(), tick)
			if c.stored && (adg.CodeOf(err) != adg.Conflict || errors.Is(err, adg.ErrFenced)) || !c.stored && err != nil {
				t.Errorf("the same again: %v", err)
			}
			if facts, err = direct.Facts(t.Context(), "d0"); err != nil || len(facts) != 1 {
				t.Errorf("in the end there are %d facts, %v", len(facts), err)
			}
		})
	}
}

func TestConnectionsThatAreKilledAreReplaced(t *testing.T) {
	dsn := fresh(t)
	s := opened(t, dsn)
	create(t, s, "d0", "s0")
	pgtest.Exec(t, dsn, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()")
	for range 20 {
		_, err := s.Deployment(t.Context(), "d0")
		if err == nil {
			return
		}
		if adg.CodeOf(err) != adg.Unavailable {
			t.Fatal(err)
		}
	}
	t.Error("no connection was made anew")
}

func TestConnectionsThatNobodyAnswersLeaveTheirPlacesToOthersSoon(t *testing.T) {
	p := startProxy(t, fresh(t))
	s, err := Open(t.Context(), Options{DSN: adg.NewSecret(p.dsn), MaxConns: 2})
	must(t, err)
	t.Cleanup(func() { closed(t, s) })
	var asking sync.WaitGroup
	asked := make(chan struct{}, 2)
	for range 2 {
		asking.Go(func() {
			ctx, cancel := context.WithCancel(t.Context())
			err := s.write(ctx, true, func(ctx context.Context, x *tx) error {
				asked <- struct{}{}
				time.AfterFunc(100*time.Millisecond, cancel)
				_, err := x.exec(ctx, "SELECT pg_sleep(60)")
				return err
			})
			if !errors.Is(err, context.Canceled) {
				t.Errorf("got %v", err)
			}
		})
	}
	<-asked
	<-asked
	p.mute()
	asking.Wait()
	soon, cancel := context.WithTimeout(t.Context(), 12*time.Second) // pgx would wait for a quarter of a minute
	defer cancel()
	if _, err := s.Now(soon); err != nil {
		t.Errorf("while connections are given up there is no other: %v", err)
	}
}

func TestCallThatWaitsForALockEndsWithItsContextAndChangesNothing(t *testing.T) {
	dsn := fresh(t)
	s := opened(t, dsn)
	create(t, s, "d0", "s0")
	unlock := lockDeployments(t, s)
	ctx, cancel := context.WithCancel(t.Context())
	var all sync.WaitGroup
	all.Go(func() {
		if err := s.Ask(ctx, adg.Command{ID: "c0", Deployment: "d0", Kind: adg.CommandHold}); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	})
	waitForLock(t, s)
	cancel()
	all.Wait()
	unlock()
	for {
		// The server may need a moment to see that nobody is there any more; the row is passed over until then.
		work, err := s.Take(t.Context(), "owner", time.Hour, 1)
		must(t, err)
		if len(work) == 0 {
			continue
		}
		if work[0].Command != nil {
			t.Error("it was asked after all")
		}
		return
	}
}

func TestLockThatIsHeldForTooLongSaysSo(t *testing.T) {
	dsn := fresh(t)
	holder, s := opened(t, dsn), opened(t, dsn+"&lock_timeout=50ms")
	create(t, s, "d0", "s0")
	defer lockDeployments(t, holder)()
	err := s.Ask(t.Context(), adg.Command{ID: "c0", Deployment: "d0", Kind: adg.CommandHold})
	if adg.CodeOf(err) != adg.Unavailable || !strings.Contains(err.Error(), "locked for too long") {
		t.Errorf("got %v", err)
	}
}

func TestReplicaThatHangsInATransactionKeepsNobodyWaitingForLong(t *testing.T) {
	dsn := fresh(t)
	hanging, s := opened(t, dsn), opened(t, dsn)
	create(t, s, "d0", "s0")
	defer lockDeployments(t, hanging, "SET LOCAL idle_in_transaction_session_timeout = '100ms'")()
	must(t, s.Ask(t.Context(), adg.Command{ID: "c0", Deployment: "d0", Kind: adg.CommandHold}))
}

func TestTransactionsThatGotIntoEachOthersWayAreRepeated(t *testing.T) {
	s := opened(t, fresh(t))
	var met sync.WaitGroup
	met.Add(2)
	var all sync.WaitGroup
	var tries atomic.Int32
	for i := range 2 {
		all.Go(func() {
			first := true
			err := s.write(t.Context(), true, func(ctx context.Context, x *tx) error {
				tries.Add(1)
				if err := x.lock(ctx, lockID(100+i)); err != nil {
					return err
				}
				if first {
					first = false
					met.Done()
					met.Wait()
				}
				return x.lock(ctx, lockID(101-i))
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if n := tries.Load(); n < 3 {
		t.Errorf("there were %d tries: they did not get into each other's way", n)
	}
	unlucky := 0
	err := s.write(t.Context(), true, func(ctx context.Context, x *tx) error {
		unlucky++
		_, err := x.exec(ctx, "DO $$ BEGIN RAISE EXCEPTION SQLSTATE '40001'; END $$")
		return err
	})
	if adg.CodeOf(err) != adg.Unavailable || unlucky != maxTries {
		t.Errorf("%v after %d tries", err, unlucky)
	}
}

func TestPanicInATransactionLeavesNothingBehind(t *testing.T) {
	s := opened(t, fresh(t))
	func() {
		defer func() { _ = recover() }()
		_ = s.write(t.Context(), true, func(ctx context.Context, x *tx) error {
			if err := x.lock(ctx, lockAudit); err != nil {
				return err
			}
			panic("of the test")
		})
	}()
	_, err := s.AppendAudit(t.Context(), adg.AuditEntry{})
	must(t, err)
}

func TestServerThatIsNotThereIsUnavailable(t *testing.T) {
	_, err := Open(t.Context(), Options{DSN: adg.NewSecret("postgres://adg@127.0.0.1:1/adg")})
	if adg.CodeOf(err) != adg.Unavailable {
		t.Errorf("got %v", err)
	}
}

// lockDeployments keeps all deployments locked, after which it does as it is told, until it is told otherwise.
func lockDeployments(t *testing.T, s *Store, then ...string) (unlock func()) {
	t.Helper()
	x, err := s.pool.Begin(t.Context())
	must(t, err)
	for _, statement := range append([]string{"SELECT 1 FROM deployments FOR UPDATE"}, then...) {
		_, err = x.Exec(t.Context(), statement)
		must(t, err)
	}
	return func() { _ = x.Rollback(context.Background()) }
}

// waitForLock waits until somebody waits for a lock.
func waitForLock(t *testing.T, s *Store) {
	t.Helper()
	for waiting := false; !waiting; {
		must(t, s.pool.QueryRow(t.Context(), "SELECT EXISTS (SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock')").Scan(&waiting))
	}
}

// proxy stands between a store and its server, and cuts connections at the worst moments.
type proxy struct {
	dsn    string
	server string
	cut    atomic.Int32
	opened atomic.Int64
	muted  atomic.Int64 // up to this one the connections' answers are lost without a word
	all    sync.WaitGroup
}

// mute loses the answers on every connection that there is now.
func (p *proxy) mute() { p.muted.Store(p.opened.Load()) }

func startProxy(t *testing.T, dsn string) *proxy {
	t.Helper()
	u, err := url.Parse(pgtest.OverTCP(t, dsn))
	must(t, err)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	p := &proxy{server: u.Host}
	u.Host = l.Addr().String()
	p.dsn = u.String()
	p.all.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			p.all.Go(func() { p.serve(client) })
		}
	})
	t.Cleanup(func() { l.Close(); p.all.Wait() })
	return p
}

func (p *proxy) serve(client net.Conn) {
	defer client.Close()
	server, err := net.DialTimeout("tcp", p.server, time.Minute)
	if err != nil {
		return
	}
	defer server.Close()
	number := p.opened.Add(1)
	var deaf atomic.Bool // the client hears nothing any more
	p.all.Go(func() {
		buffer := make([]byte, 1<<16)
		for {
			n, err := server.Read(buffer)
			if number <= p.muted.Load() {
				return
			}
			if deaf.Load() || err != nil {
				client.Close()
				return
			}
			if _, err := client.Write(buffer[:n]); err != nil {
				return
			}
		}
	})
	buffer := make([]byte, 1<<16)
	for {
		n, err := client.Read(buffer)
		if err != nil {
			return
		}
		if bytes.Contains(bytes.ToLower(buffer[:n]), []byte("commit\x00")) {
			switch moment(p.cut.Load()) {
			case never:
			case beforeCommit:
				return
			case afterCommit:
				deaf.Store(true)
			}
		}
		if _, err := io.Copy(server, bytes.NewReader(buffer[:n])); err != nil {
			return
		}
	}
}
