// compose reads a compose file as Docker Compose does, by compose-go, and prints it as JSON: variables are filled in from the environment
// and .env, paths are absolute, everything has its long form, services of all profiles are there.
//
//	compose FILE
//
// compose-go has a command of its own for that, which forgets the environment (2.16.2: LoadModel does, LoadProject does not).
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/compose-spec/compose-go/v2/cli"
)

func read(file string) ([]byte, error) {
	options, err := cli.NewProjectOptions([]string{file},
		cli.WithOsEnv, cli.WithDotEnv, cli.WithProfiles([]string{"*"}), cli.WithResolvedPaths(true))
	if err != nil {
		return nil, err
	}
	project, err := options.LoadProject(context.Background())
	if err != nil {
		return nil, err
	}
	return project.MarshalJSON()
}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: compose FILE")
		os.Exit(2)
	}
	text, err := read(os.Args[1])
	if err != nil {
		fmt.Fprintf(os.Stderr, "compose: %s: %v\n", os.Args[1], err)
		os.Exit(1)
	}
	fmt.Println(string(text))
}
