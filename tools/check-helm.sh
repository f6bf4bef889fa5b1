#!/bin/sh
# Lints the chart and renders it with the default values and with each file in helm/assay/ci.
set -eu
cd "$(dirname "$0")/.."

if ! helm=$(tools/go-tool.sh helm helm.sh/helm/v3/cmd/helm@v3.21.4); then
    echo "helm: SKIPPED: helm is missing; install it, or install Go"
    exit 0
fi

# A helm built by Go takes the cluster for an ancient one: say which versions are meant, the oldest and a recent one.
for kubernetes in 1.27.0 1.37.0; do
    for values in helm/assay/values.yaml helm/assay/ci/*-values.yaml; do
        "$helm" lint --strict --quiet --kube-version "$kubernetes" helm/assay --values "$values"
        "$helm" template assay helm/assay --namespace assay --kube-version "$kubernetes" --values "$values" >/dev/null
        echo "helm: rendered for Kubernetes $kubernetes with $values"
    done
done

# The schema is strict: what it does not know is an error, and only that.
if refusal=$("$helm" template assay helm/assay --kube-version 1.37.0 --set noSuchValue=1 2>&1); then
    echo "helm: FAILED: an unknown value is accepted" >&2
    exit 1
fi
case $refusal in
    *noSuchValue*) echo "helm: passed" ;;
    *) echo "helm: FAILED: $refusal" >&2 && exit 1 ;;
esac
