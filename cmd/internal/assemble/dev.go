package assemble

import (
	"bytes"
	"cmp"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"text/template"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"
	"golang.org/x/sync/errgroup"

	"github.com/rolecall/rolecall/broker/devaws"
	"github.com/rolecall/rolecall/config"
	"github.com/rolecall/rolecall/idp/devidp"
)

//go:embed dev.yaml
var devConfig string

// DefaultDevListen is where `rolecalld dev` listens unless told otherwise. The
// identity provider and the AWS stand-in take the next two ports.
const DefaultDevListen = "127.0.0.1:8400"

// DevOptions is what `rolecalld dev` is told.
type DevOptions struct {
	Listen string // HOST:PORT, loopback only; port 0 is a free one
	Data   string // folder for store, keys and audit; "" is a new one, removed at the end
	Mode   string // aws.mode; "" is assume-role
	Log    *slog.Logger
	Now    func() time.Time
}

// ErrListen marks an address that dev does not listen on, ErrMode a mode that its
// grants cannot be ordered by.
var (
	ErrListen = errors.New("not an address for rolecalld dev")
	ErrMode   = errors.New("not a mode of rolecalld dev: want assume-role, web-identity, saml or saml-user")
)

// devModes are the modes of dev.yaml. federation-token is none: its grants need
// session policies. The last one is saml with people's own assertions.
var devModes = []string{"assume-role", "web-identity", "saml", ownMode}

const ownMode = "saml-user"

// Dev is a whole world on loopback: broker, identity provider, AWS.
type Dev struct {
	URL, IDP, AWS string
	People        []devidp.Person
	Config        *config.Config
	// Temporary says that Close removes the folder of the state.
	Temporary bool

	options   DevOptions
	listeners [3]net.Listener // broker, identity provider, AWS
	idp       *devidp.IDP
	aws       *devaws.AWS
	daemon    *Daemon
}

// devPlaces are the addresses in dev.yaml.
type devPlaces struct {
	URL, Listen, Store, IDP, AWS, Mode string
	// SAML names the provider that accounts know; Own says that it is people's own.
	SAML string
	Own  bool
}

// PrintDevConfig writes the configuration that dev runs, with its usual addresses.
func PrintDevConfig(w io.Writer, mode string) error {
	return writeDevConfig(w, devPlaces{
		Mode: mode,
		URL:  "http://" + DefaultDevListen, Listen: DefaultDevListen, Store: "rolecall.db",
		IDP: "http://127.0.0.1:8401", AWS: "http://127.0.0.1:8402",
	})
}

func writeDevConfig(w io.Writer, places devPlaces) error {
	places.Mode = cmp.Or(places.Mode, devModes[0])
	if !slices.Contains(devModes, places.Mode) {
		return fmt.Errorf("--mode %q: %w", places.Mode, ErrMode)
	}
	places.SAML, places.Own = "rolecall", places.Mode == ownMode
	if places.Own { // the grants say so themselves
		places.SAML, places.Mode = "corp", devModes[0]
	}
	t, err := template.New("dev.yaml").Parse(devConfig)
	if err != nil {
		return err
	}
	return t.Execute(w, places)
}

// NewDev puts everything up on loopback, ready to Run.
func NewDev(ctx context.Context, options DevOptions) (*Dev, error) {
	d := &Dev{options: options}
	if err := d.start(ctx); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return d, nil
}

func (d *Dev) start(ctx context.Context) error {
	if err := d.prepare(ctx); err != nil {
		return err
	}
	return d.build(ctx)
}

// prepare finds addresses and a folder, and makes the configuration of them.
func (d *Dev) prepare(ctx context.Context) error {
	if err := d.listen(ctx); err != nil {
		return err
	}
	if err := d.folder(); err != nil {
		return err
	}
	return d.configure()
}

// build makes what the configuration says, with its surroundings.
func (d *Dev) build(ctx context.Context) (err error) {
	d.People = devPeople()
	if d.idp, err = d.newDevIDP(); err != nil {
		return fmt.Errorf("identity provider: %w", err)
	}
	user := newDevUser()
	own := credentials.NewStaticCredentialsProvider(user.AccessKeyID, user.SecretAccessKey.Reveal(), "")
	if d.daemon, err = New(ctx, Options{Config: d.Config, Log: d.options.Log, Now: d.options.Now, AWS: own}); err != nil {
		return err
	}
	if d.aws, err = d.newDevAWS(ctx, user); err != nil {
		return fmt.Errorf("AWS stand-in: %w", err)
	}
	return nil
}

// listen takes three loopback ports: the one asked for and the two after it, or
// free ones where those are taken.
func (d *Dev) listen(ctx context.Context) error {
	host, port, err := net.SplitHostPort(d.options.Listen)
	if err != nil {
		return fmt.Errorf("--listen %q: %w: want HOST:PORT", d.options.Listen, ErrListen)
	}
	address, err := netip.ParseAddr(host)
	if err != nil || !address.IsLoopback() {
		return fmt.Errorf("--listen %s: %w: it has made-up people and no TLS, so it listens on a loopback address only (127.0.0.1 or [::1]); use serve for others", d.options.Listen, ErrListen)
	}
	first, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return fmt.Errorf("--listen %q: %w: the port is not a number", d.options.Listen, ErrListen)
	}
	var lc net.ListenConfig
	for i := range d.listeners {
		want := first
		if first != 0 {
			want += uint64(i)
		}
		d.listeners[i], err = lc.Listen(ctx, "tcp", net.JoinHostPort(host, strconv.FormatUint(want, 10)))
		if err != nil && i > 0 {
			d.listeners[i], err = lc.Listen(ctx, "tcp", net.JoinHostPort(host, "0"))
		}
		if err != nil {
			return fmt.Errorf("listen on %s: %w; choose another with --listen", d.options.Listen, err)
		}
	}
	origin := func(l net.Listener) string { return "http://" + l.Addr().String() }
	d.URL, d.IDP, d.AWS = origin(d.listeners[0]), origin(d.listeners[1]), origin(d.listeners[2])
	return nil
}

func (d *Dev) folder() (err error) {
	if d.options.Data == "" {
		d.Temporary = true
		d.options.Data, err = os.MkdirTemp("", "rolecall-dev-*")
		return err
	}
	return os.MkdirAll(d.options.Data, 0o700)
}

func (d *Dev) configure() error {
	var text bytes.Buffer
	store, err := filepath.Abs(filepath.Join(d.options.Data, "rolecall.db"))
	if err != nil {
		return err
	}
	places := devPlaces{URL: d.URL, Listen: d.listeners[0].Addr().String(), Store: store, IDP: d.IDP, AWS: d.AWS, Mode: d.options.Mode}
	err = writeDevConfig(&text, places)
	if err != nil {
		return err
	}
	d.Config, err = config.Parse("dev.yaml", text.Bytes(), func(string) (string, bool) { return "", false })
	return err
}

// Run serves until ctx ends.
func (d *Dev) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return serveHTTP(ctx, d.listeners[1], d.idp, nil, d.options.Log) })
	group.Go(func() error { return serveHTTP(ctx, d.listeners[2], d.aws, nil, d.options.Log) })
	group.Go(func() error { return d.daemon.Serve(ctx, d.listeners[0]) })
	return group.Wait()
}

// Close ends the store and removes a temporary folder. Run must have returned.
func (d *Dev) Close() error {
	var errs []error
	for _, l := range d.listeners {
		if l != nil {
			if err := l.Close(); !errors.Is(err, net.ErrClosed) {
				errs = append(errs, err)
			}
		}
	}
	if d.daemon != nil {
		errs = append(errs, d.daemon.Close())
	}
	if d.Temporary && d.options.Data != "" {
		errs = append(errs, os.RemoveAll(d.options.Data))
	}
	return errors.Join(errs...)
}

// devPerson and devAccount are how `dev --json` names people and accounts.
type devPerson struct {
	Username string   `json:"username"`
	Password string   `json:"password"`
	Groups   []string `json:"groups"`
}

type devAccount struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// JSON is the one line of `dev --json`. The passwords are made up at each start.
func (d *Dev) JSON() ([]byte, error) {
	people, accounts := []devPerson{}, []devAccount{}
	for _, p := range d.People {
		people = append(people, devPerson{p.Username, p.Password.Reveal(), append([]string{}, p.Groups...)})
	}
	for _, a := range d.Config.Accounts {
		accounts = append(accounts, devAccount{a.ID.Value, a.Name.Value})
	}
	return json.Marshal(struct {
		URL          string       `json:"url"`
		STSEndpoint  string       `json:"sts_endpoint"`
		SAMLProvider string       `json:"saml_provider"`
		OIDCProvider string       `json:"oidc_provider"`
		People       []devPerson  `json:"people"`
		Accounts     []devAccount `json:"accounts"`
	}{d.URL, d.AWS, "corp", "staff", people, accounts})
}
