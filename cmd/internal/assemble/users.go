package assemble

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/rolecall/rolecall/broker/audit"
	"github.com/rolecall/rolecall/broker/keys"
	"github.com/rolecall/rolecall/broker/mail"
	"github.com/rolecall/rolecall/broker/operate"
	"github.com/rolecall/rolecall/broker/store/sqlite"
	"github.com/rolecall/rolecall/config"
	"github.com/rolecall/rolecall/config/secret"
	"github.com/rolecall/rolecall/idp/device"
	"github.com/rolecall/rolecall/idp/directory"
)

// Users is the people of the built-in directory in the hands of an operator.
type Users struct {
	*operate.Users
	// Provider is the name of the directory, Record the file of operators.
	Provider, Record string

	options   Options
	directory *directory.Directory
	close     []func() error
}

// OpenUsers opens the store beside running daemons. provider may be empty where the
// configuration has one directory; where it names none it is a config.Faults.
func OpenUsers(ctx context.Context, options Options, provider, operator string) (*Users, error) {
	u := &Users{options: options, Record: filepath.Join(filepath.Dir(auditFile(options.Config)), operatorFile)}
	if err := u.open(ctx, provider, operator); err != nil {
		return nil, errors.Join(err, u.Close())
	}
	return u, nil
}

func (u *Users) open(ctx context.Context, provider, operator string) error {
	c := u.options.Config
	var names []string
	at := -1
	for i, p := range c.Providers {
		if p.Type.Value == "directory" {
			names = append(names, p.Name.Value)
			if provider == "" || p.Name.Value == provider {
				at = i
			}
		}
	}
	switch {
	case len(names) == 0:
		return asFaults(config.Pos{File: c.File}, errors.New("the configuration has no provider of type directory"))
	case at < 0, provider == "" && len(names) > 1:
		return asFaults(config.Pos{File: c.File}, errors.New("name one of its directories with --provider: "+strings.Join(names, ", ")))
	}
	u.Provider = c.Providers[at].Name.Value
	path := storePath(c)
	store, err := sqlite.Open(ctx, path)
	if err != nil {
		return fmt.Errorf("store %s: %w", c.Store.Value, err)
	}
	u.close = append(u.close, store.Close)
	sealer, err := keys.OpenSealer(filepath.Join(filepath.Dir(path), "rolecall.key"))
	if err != nil {
		return fmt.Errorf("key file: %w", err)
	}
	record, err := audit.Open(audit.Config{File: u.Record, Now: u.options.Now, Log: u.options.Log})
	if err != nil {
		return fmt.Errorf("record of operators %s: %w", u.Record, err)
	}
	u.close = append(u.close, record.Close)
	u.directory, err = directory.New(directory.Config{Provider: c.Providers[at], URL: serverURL(c), Store: store, Sealer: sealer, Now: u.options.Now})
	if err != nil {
		return err
	}
	users := operate.UsersConfig{
		Directory: u.directory, Store: store, Phones: phones{device.New(device.Config{Store: store, Now: u.options.Now})},
		Audit: record, Operator: operator, Now: u.options.Now,
	}
	for _, a := range c.Apps {
		users.Apps = append(users.Apps, a.Name.Value)
	}
	u.Users = operate.NewUsers(users)
	return nil
}

// Address is where somebody sets a password with a code of Reset.
func (u *Users) Address() string {
	return serverURL(u.options.Config) + "/directory/" + u.Provider + "/password"
}

// Mail sends the code of Reset to the person.
func (u *Users) Mail(ctx context.Context, who directory.Person, code secret.String) error {
	c := u.options.Config.Mail
	if c.SMTP.Value == "" {
		return errors.New("mail.smtp is missing from the configuration: hand the code over yourself")
	}
	sender, err := mail.NewSMTP(c)
	if err != nil {
		return err
	}
	letter := u.directory.Invitation(who, u.Address(), code.Reveal())
	subject, text := letter.Write("")
	return sender.Send(ctx, mail.Letter{To: letter.To, Subject: subject, Text: text, RequestID: "operator"})
}

// Close gives the store and the record up.
func (u *Users) Close() error {
	var errs []error
	for _, end := range u.close {
		errs = append(errs, end())
	}
	return errors.Join(errs...)
}
