# Certificates and kubeconfigs of the cluster (sourced): every part and every node has a client certificate of its own.

# What the functions below are made of; in a subshell.
pki_begin() {
  mkdir -p "$RUN/pki"
  cd "$RUN/pki"
  quiet() { "$@" 2>>openssl.log || die "$1 $2 failed: $(tail -n 1 openssl.log) (log: $RUN/pki/openssl.log)"; }
  key=(-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes)
  sign() { # NAME CA SUBJECT EXTENSIONS
    quiet openssl req -new "${key[@]}" -subj "$3" -keyout "$1.key" -out "$1.csr"
    printf '%b' "$4" >"$1.ext"
    quiet openssl x509 -req -in "$1.csr" -CA "$2.crt" -CAkey "$2.key" -CAcreateserial -days 365 -extfile "$1.ext" -out "$1.crt"
    rm -f "$1.csr" "$1.ext"
  }
  user() { # NAME SUBJECT: a client certificate, and a kubeconfig with it inside
    sign "$1" ca "$2" "extendedKeyUsage=clientAuth"
    cat >"$1.conf" <<CONF
apiVersion: v1
kind: Config
clusters: [{name: evio, cluster: {server: "https://$API_ADDRESS:$API_PORT", certificate-authority-data: $(base64 -w0 ca.crt)}}]
users: [{name: $1, user: {client-certificate-data: $(base64 -w0 "$1.crt"), client-key-data: $(base64 -w0 "$1.key")}}]
contexts: [{name: evio, context: {cluster: evio, user: $1}}]
current-context: evio
CONF
    chmod 600 "$1.conf"
  }
}

# As a kubelet has them.
pki_node() { (pki_begin; user "node-$1" "/O=system:nodes/CN=system:node:$1") }

pki_make() { (
  local san n a
  pki_begin
  for n in ca front-proxy-ca; do
    quiet openssl req -x509 "${key[@]}" -days 365 -subj "/CN=evio-cluster-$n" -keyout $n.key -out $n.crt -addext keyUsage=critical,keyCertSign,cRLSign
  done
  san=DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc,DNS:kubernetes.default.svc.cluster.local,DNS:localhost,DNS:$CP
  for a in 127.0.0.1 "$API_ADDRESS" $API_ADDRESSES $SERVICE_FIRST; do san+=,IP:$a; done
  sign apiserver ca /CN=kube-apiserver "extendedKeyUsage=serverAuth\nsubjectAltName=$san"
  sign kubelet-client ca /O=system:masters/CN=kube-apiserver-kubelet-client "extendedKeyUsage=clientAuth"
  sign front-proxy front-proxy-ca /CN=front-proxy-client "extendedKeyUsage=clientAuth"
  quiet openssl genrsa -out service-account.key 2048
  quiet openssl rsa -in service-account.key -pubout -out service-account.pub

  user admin /O=system:masters/CN=admin
  for n in kube-controller-manager kube-scheduler kube-proxy; do user "$n" "/CN=system:$n"; done
  for n in $(node_names); do pki_node "$n"; done
) }
