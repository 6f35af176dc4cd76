//go:build !unix

package main

import "os"

// passedOn: the console tells every process that is attached to it.
var passedOn = []os.Signal{os.Interrupt}

func sentToAll(os.Signal) bool { return true }

func codeOf(state *os.ProcessState) int { return state.ExitCode() }
