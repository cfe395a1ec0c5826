// Command renderer is Helm that stays: it reads commands from standard input, one JSON object a line, runs each in this
// process and answers with one. A render takes a tenth of the time of starting Helm for it, which is what makes it
// worth having where there are ten thousands of them (scripts/mutation).
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"os"

	helm "helm.sh/helm/v4/pkg/cmd"
)

type request struct {
	Arguments []string `json:"arguments"`
	Stdin     string   `json:"stdin"`
}

type answer struct {
	Output string `json:"output"`
	Errors string `json:"errors"`
	Failed bool   `json:"failed"`
}

func main() {
	requests := bufio.NewReader(os.Stdin)
	answers := json.NewEncoder(os.Stdout)
	stdin, stderr := scratch(), scratch()
	os.Stdin, os.Stderr = stdin, stderr
	log.SetOutput(stderr)
	for {
		line, err := requests.ReadBytes('\n')
		if err != nil {
			return
		}
		var asked request
		must(json.Unmarshal(line, &asked))
		must(refill(stdin, asked.Stdin))
		must(refill(stderr, ""))
		must(answers.Encode(run(asked.Arguments, stderr)))
	}
}

// run is what `helm ARGUMENTS…` does, with what it writes.
func run(arguments []string, stderr *os.File) (result answer) {
	var output bytes.Buffer
	defer func() {
		if problem := recover(); problem != nil {
			result = answer{Errors: fmt.Sprint("Error: ", problem), Failed: true}
		}
	}()
	command, err := helm.NewRootCmd(&output, arguments, helm.SetupLogging)
	if err == nil {
		command.SetArgs(arguments)
		err = command.Execute()
	}
	_, _ = stderr.Seek(0, io.SeekStart)
	errors, _ := io.ReadAll(stderr)
	return answer{Output: output.String(), Errors: string(errors), Failed: err != nil}
}

// scratch is an empty file that is gone with this process.
func scratch() *os.File {
	file, err := os.CreateTemp("", "renderer")
	must(err)
	must(os.Remove(file.Name()))
	return file
}

func refill(file *os.File, text string) error {
	if err := file.Truncate(0); err != nil {
		return err
	}
	if _, err := file.WriteAt([]byte(text), 0); err != nil {
		return err
	}
	_, err := file.Seek(0, io.SeekStart)
	return err
}

func must(err error) {
	if err != nil {
		log.New(os.Stdout, "", 0).Fatal(err)
	}
}
