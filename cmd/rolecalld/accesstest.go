package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/rolecall/rolecall/cmd/internal/assemble"
	"github.com/rolecall/rolecall/config"
)

func (d *daemon) test() *cobra.Command {
	var path string
	c := &cobra.Command{
		Use:   "test TESTS.yaml...",
		Short: "Run access tests: who must and who must not have which role; exit code 1 when one fails",
		Args:  cobra.MinimumNArgs(1),
		RunE:  func(_ *cobra.Command, files []string) error { return d.runTests(path, files) },
	}
	configFlag(c, &path)
	return c
}

func (d *daemon) runTests(path string, files []string) error {
	loaded, err := d.load(path)
	if err != nil {
		return err
	}
	compiled, err := assemble.Policy(loaded)
	if err != nil {
		return err
	}
	total, failed := 0, 0
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			return errUsage{err}
		}
		tests, err := config.ParseTests(file, data)
		if err != nil {
			return err
		}
		results, err := compiled.RunTests(tests, d.now())
		if err != nil {
			return err
		}
		for _, r := range results {
			total++
			if len(r.Failures) == 0 {
				fmt.Fprintf(d.stdout, "ok    %s\n", r.Name)
				continue
			}
			failed++
			fmt.Fprintf(d.stdout, "FAIL  %s\n", r.Name)
			for _, f := range r.Failures {
				fmt.Fprintf(d.stdout, "      %s\n", f.Error())
			}
		}
	}
	if total == 0 {
		return errUsage{errors.New("the files hold no test")}
	}
	fmt.Fprintf(d.stdout, "%d tests, %d failed\n", total, failed)
	if failed > 0 {
		return errRefused
	}
	return nil
}
