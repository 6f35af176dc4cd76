package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rolecall/rolecall/broker/iam"
	"github.com/rolecall/rolecall/cmd/rolecall/internal/container"
	"github.com/rolecall/rolecall/cmd/rolecall/internal/settings"
)

// execMark is set in the environment of a command, to the role it acts as.
const execMark = "ROLECALL_EXEC"

// errExit is the exit code of a command that ran; it has said the rest itself.
type errExit int

func (e errExit) Error() string { return fmt.Sprintf("exit code %d", int(e)) }

// executing is one call of `rolecall exec`.
type executing struct {
	*tool
	role, duration, region string
	static                 bool
}

func (t *tool) exec() *cobra.Command {
	run := executing{tool: t}
	c := &cobra.Command{
		Use:   "exec --role ROLE -- COMMAND [ARG...]",
		Short: "Run a command as a role",
		Long: "Run a command (default: your shell) as a role. It finds its credentials at an address on this machine\n" +
			"that only it knows of, and finds new ones there for as long as you are signed in: a command may run\n" +
			"longer than one set of credentials lives. Signals are passed on; the exit code is the command's.\n\n" +
			"With --static it gets one set of credentials as environment variables, for programs that know no other way.",
		Example: "  rolecall exec --role production/Admin -- terraform apply\n  rolecall exec --role development/Developer --region eu-central-1 -- aws s3 ls\n  rolecall exec --role production/Admin",
		Args:    cobra.ArbitraryArgs,
		RunE:    func(c *cobra.Command, args []string) error { return run.run(c.Context(), args) },
	}
	t.roleFlags(c, &run.role, &run.duration)
	c.Flags().StringVar(&run.region, "region", "", "set AWS_REGION and AWS_DEFAULT_REGION")
	c.Flags().BoolVar(&run.static, "static", false, "give one set of credentials as environment variables")
	c.Flags().SetInterspersed(false)
	return c
}

func (x *executing) run(ctx context.Context, args []string) error {
	if role := x.getenv(execMark); role != "" {
		return errUsage{fmt.Errorf("this shell runs in rolecall exec already, as %s; leave it first, or unset %s", printable(role), execMark)}
	}
	if len(args) == 0 {
		args = []string{x.shell()}
	}
	program, err := exec.LookPath(args[0])
	if err != nil && !errors.Is(err, exec.ErrDot) {
		fmt.Fprintf(x.stderr, "rolecall: %v\n", err)
		if errors.Is(err, fs.ErrPermission) {
			return errExit(126)
		}
		return errExit(127) // as shells do
	}
	s, err := x.profile()
	if err != nil {
		return err
	}
	if x.role, err = x.chosen(ctx, s, x.role); err != nil {
		return err
	}
	env := x.environment()
	if x.static {
		document, err := x.credentials(ctx, x.role, x.duration)
		if err != nil {
			return err
		}
		return x.child(program, args, append(env, staticEnvironment(document)...))
	}
	return x.served(ctx, s, program, args, env)
}

// served runs the command beside a listener that has credentials for it.
func (x *executing) served(ctx context.Context, s settings.Settings, program string, args, env []string) error {
	server, stop, err := x.serve(ctx, []string{x.role}, x.duration, 0, container.NewToken())
	if err != nil {
		return err
	}
	defer stop()
	view, remove, err := x.unshadowed(ctx, s)
	if err != nil {
		return err
	}
	defer remove()
	env = append(env, view...)
	return x.child(program, args, append(env, "AWS_CONTAINER_CREDENTIALS_FULL_URI="+server.Address(x.role), "AWS_CONTAINER_AUTHORIZATION_TOKEN="+server.Token()))
}

func (x *executing) shell() string {
	if runtime.GOOS == "windows" {
		return cmp.Or(x.getenv("COMSPEC"), "cmd.exe")
	}
	return cmp.Or(x.getenv("SHELL"), "/bin/sh")
}

// inherited are variables by which a command would find other credentials.
var inherited = []string{
	"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN", "AWS_CREDENTIAL_EXPIRATION",
	"AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_ROLE_ARN", "AWS_ROLE_SESSION_NAME",
	"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI",
	"AWS_CONTAINER_AUTHORIZATION_TOKEN", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
}

func (x *executing) environment() []string {
	env := slices.DeleteFunc(x.environ(), func(v string) bool {
		name, _, _ := strings.Cut(v, "=")
		return slices.ContainsFunc(inherited, func(i string) bool { return strings.EqualFold(i, name) })
	})
	env = append(env, execMark+"="+x.role)
	if x.region != "" {
		env = append(env, "AWS_REGION="+x.region, "AWS_DEFAULT_REGION="+x.region)
	}
	return env
}

func staticEnvironment(d iam.ProcessDocument) []string {
	var env []string
	for _, v := range variables(d) {
		env = append(env, v[0]+"="+v[1])
	}
	return env
}

// child runs the command to its end and passes signals on.
func (x *executing) child(program string, args, env []string) error {
	cmd := exec.Command(program, args[1:]...)
	cmd.Args[0] = args[0]
	cmd.Env = env
	cmd.Stdin, cmd.Stdout, cmd.Stderr = x.stdin, x.stdout, x.stderr
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, slices.DeleteFunc(slices.Clone(passedOn), signal.Ignored)...) // as under nohup
	defer signal.Stop(signals)
	if err := cmd.Start(); err != nil {
		fmt.Fprintf(x.stderr, "rolecall: %v\n", err)
		return errExit(126)
	}
	ended := make(chan struct{})
	defer close(ended)
	go func() { // ends with the command
		for {
			select {
			case s := <-signals:
				if !sentToAll(s) {
					_ = cmd.Process.Signal(s)
				}
			case <-ended:
				return
			}
		}
	}()
	err := cmd.Wait()
	if exited, ok := errors.AsType[*exec.ExitError](err); ok {
		return errExit(codeOf(exited.ProcessState))
	}
	return err
}
