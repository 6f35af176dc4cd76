package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/rolecall/rolecall/broker/iam"
	"github.com/rolecall/rolecall/cmd/rolecall/internal/container"
	"github.com/rolecall/rolecall/cmd/rolecall/internal/settings"
)

// serving is one call of `rolecall agent`.
type serving struct {
	*tool
	roles               []string
	duration, tokenFile string
	format              string
	port                uint16
	showToken           bool
}

func (t *tool) agent() *cobra.Command {
	run := serving{tool: t}
	c := &cobra.Command{
		Use:   "agent --role ROLE...",
		Short: "Serve credentials to programs on this machine until you stop it",
		Long: "Serve credentials of one or more roles on 127.0.0.1, in the form that AWS SDKs read in containers, until\n" +
			"you stop it (Ctrl-C). It prints the environment variables for the programs that use it. Only who knows the\n" +
			"token is answered; it is in a file that only you can read. Requests of web pages are refused.",
		Example: "  rolecall agent --role production/Admin\n  rolecall agent --role production/Admin --role development/Developer --port 9911\n  rolecall agent --role production/Admin --show-token   # for SDKs of before 2024",
		RunE:    func(c *cobra.Command, _ []string) error { return run.run(c.Context()) },
	}
	c.Flags().StringArrayVar(&run.roles, "role", nil, "a role to serve, as ACCOUNT/ROLE or ARN; may be repeated (required; a terminal offers them)")
	_ = c.RegisterFlagCompletionFunc("role", t.completeRoles)
	c.Flags().StringVar(&run.duration, "duration", "", "life of the credentials, like 1h (default the grant's)")
	c.Flags().Uint16Var(&run.port, "port", 0, "port to listen on (default a free one)")
	c.Flags().StringVar(&run.tokenFile, "token-file", "", "where to keep the token while it runs (default in the settings folder)")
	c.Flags().BoolVar(&run.showToken, "show-token", false, "print the token itself instead of the name of its file")
	c.Flags().StringVar(&run.format, "format", "bash", "bash, dotenv, fish, powershell or windows-cmd")
	return c
}

func (a *serving) run(ctx context.Context) error {
	print, ok := lineFormats[a.format]
	if !ok {
		return errUsage{fmt.Errorf("format %q: want bash, dotenv, fish, powershell or windows-cmd", a.format)}
	}
	s, err := a.profile()
	if err != nil {
		return err
	}
	if len(a.roles) == 0 {
		role, err := a.chosen(ctx, s, "")
		if err != nil {
			return err
		}
		a.roles = []string{role}
	}
	token := container.NewToken()
	server, stop, err := a.serve(ctx, a.roles, a.duration, a.port, token)
	if err != nil {
		return err
	}
	defer stop()
	secret := [2]string{"AWS_CONTAINER_AUTHORIZATION_TOKEN", token}
	if !a.showToken {
		file, err := a.keepToken(s, token)
		if err != nil {
			return err
		}
		defer func() { _ = os.Remove(file) }()
		secret = [2]string{"AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", file}
	}
	for _, role := range a.roles {
		if len(a.roles) > 1 {
			fmt.Fprintf(a.stderr, "For %s:\n", printable(role))
		}
		if err := print(a.stdout, [][2]string{{"AWS_CONTAINER_CREDENTIALS_FULL_URI", server.Address(role)}, secret}); err != nil {
			return err
		}
	}
	fmt.Fprintln(a.stderr, "Serving until you press Ctrl-C.")
	<-ctx.Done()
	return ctx.Err()
}

func (a *serving) keepToken(s settings.Settings, token string) (string, error) {
	file := a.tokenFile
	if file == "" {
		file = filepath.Join(s.Dir, "agent", fmt.Sprintf("%d.token", os.Getpid()))
	}
	file, err := filepath.Abs(file)
	if err != nil {
		return "", err
	}
	return file, settings.WriteFile(file, []byte(token))
}

// serve starts a listener with fresh credentials of the roles; stop ends it. It
// goes on when ctx ends: a command may still be at work after Ctrl-C.
func (t *tool) serve(ctx context.Context, roles []string, duration string, port uint16, token string) (*container.Server, func(), error) {
	keeper := &container.Keeper{
		Roles: roles, Now: t.now,
		Order: func(ctx context.Context, role string) (iam.ProcessDocument, error) {
			document, err := t.credentials(ctx, role, duration)
			return document, err
		},
		Failed: func(role string, err error) {
			fmt.Fprintf(t.stderr, "rolecall: %s: %s; trying again\n", printable(role), t.errorText(err))
		},
	}
	if err := keeper.Fill(ctx); err != nil {
		return nil, nil, err
	}
	server, err := container.Listen(ctx, port, token, keeper)
	if err != nil {
		return nil, nil, err
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	go keeper.Run(ctx)
	go func() { // ends with stop
		if err := server.Serve(); !errors.Is(err, http.ErrServerClosed) {
			fmt.Fprintf(t.stderr, "rolecall: the listener for SDKs ended: %v\n", err)
		}
	}()
	return server, func() { cancel(); _ = server.Close() }, nil
}
