package kube

import (
	"cmp"
	"errors"
	"os"
	"strings"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/deployguardian/adg"
)

// namespaceFile is where a pod reads which namespace it is in.
const namespaceFile = "/var/run/secrets/kubernetes.io/serviceaccount/namespace"

// config is what client-go needs to know, and the namespace.
func (o Options) config(host adg.Host) (*rest.Config, string, error) {
	var problems []error
	problem := func(format string, args ...any) {
		problems = append(problems, adg.Errorf(adg.Invalid, format, args...))
	}
	if o.Timeout <= 0 {
		problem("timeout: %s: it must be longer than 0s", o.Timeout)
	}
	if o.Server != "" && o.Kubeconfig != "" {
		problem("server and kubeconfig exclude each other: the kubeconfig says where the server is")
	}
	if o.Server == "" && (!o.Token.IsZero() || o.CAFile != "") {
		problem("token and ca_file go with server: write its address")
	}
	if o.Kubeconfig == "" && o.Context != "" {
		problem("context goes with kubeconfig: write its file")
	}
	if o.Namespace != "" {
		if err := ValidName("namespace", o.Namespace); err != nil {
			problem("%w", err)
		}
	}
	if len(problems) > 0 {
		return nil, "", errors.Join(problems...)
	}
	switch {
	case o.Server != "":
		config := &rest.Config{Host: o.Server, BearerToken: o.Token.Reveal(), TLSClientConfig: rest.TLSClientConfig{CAFile: o.CAFile}}
		return config, cmp.Or(o.Namespace, "default"), nil
	case o.Kubeconfig != "":
		return o.fromFile(host)
	default:
		return o.fromPod()
	}
}

func (o Options) fromFile(host adg.Host) (*rest.Config, string, error) {
	loading := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(
		&clientcmd.ClientConfigLoadingRules{ExplicitPath: o.Kubeconfig}, &clientcmd.ConfigOverrides{CurrentContext: o.Context})
	config, err := loading.ClientConfig()
	if err != nil {
		return nil, "", adg.Errorf(adg.Invalid, "kubeconfig: %w", err)
	}
	if config.ExecProvider != nil {
		if err := host.MayStart(config.ExecProvider.Command); err != nil {
			return nil, "", adg.Errorf(adg.Unauthorized, "kubeconfig: it logs in with a program: %w", err)
		}
	}
	namespace, _, err := loading.Namespace()
	if err != nil {
		return nil, "", adg.Errorf(adg.Invalid, "kubeconfig: %w", err)
	}
	return config, cmp.Or(o.Namespace, namespace, "default"), nil
}

func (o Options) fromPod() (*rest.Config, string, error) {
	config, err := rest.InClusterConfig()
	if errors.Is(err, rest.ErrNotInCluster) {
		return nil, "", adg.Errorf(adg.Invalid, "which cluster? write kubeconfig, or server with token and ca_file; this process runs in no pod whose service account it could take")
	}
	if err != nil {
		return nil, "", adg.Errorf(adg.Invalid, "the service account of this pod: %w", err)
	}
	namespace, err := os.ReadFile(namespaceFile)
	if err != nil && o.Namespace == "" {
		return nil, "", adg.Errorf(adg.Invalid, "namespace: write one, because that of this pod cannot be read: %w", err)
	}
	return config, cmp.Or(o.Namespace, strings.TrimSpace(string(namespace))), nil
}

// ValidName refuses what is no name of an object: it would become a part of an address.
func ValidName(what, name string) error {
	const longest = 253
	if name == "" || len(name) > longest || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789-.") != "" || strings.Trim(name, "-.") != name {
		return adg.Errorf(adg.Invalid, "%s: %q is no name in Kubernetes: use lower-case letters, digits, '-' and '.', starting and ending with a letter or digit", what, name)
	}
	return nil
}
