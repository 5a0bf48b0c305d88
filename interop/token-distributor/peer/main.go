// A client of the Token Distributor on stock parts: grpc-go, Go's protobuf, go-tpm, go-tpm-tools and Tink. It knows the
// original's messages alone. With `serve` it is a server of the original's GetToken instead.
//
//	peer FLAGS get              GetToken; prints each secret as the original's client makes use of it
//	peer FLAGS attest           the whole Verifier flow, then GetToken, in one connection
//	peer FLAGS attest-only=X    the flow, done wrong in the way X
//	peer FLAGS health           gRPC's own health client
package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	_ "embed"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"time"

	"github.com/bufbuild/protocompile"
	"github.com/google/go-tpm-tools/client"
	tpmpb "github.com/google/go-tpm-tools/proto/tpm"
	"github.com/google/go-tpm/legacy/tpm2"
	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"
)

//go:embed original.proto
var original string

var (
	address    = flag.String("address", "", "host:port")
	serverName = flag.String("servername", "", "name in the server's certificate")
	ca         = flag.String("ca", "", "authority")
	cert       = flag.String("cert", "", "own certificate")
	key        = flag.String("key", "", "its key")
	bearer     = flag.String("authorization", "", "authorization metadata, as it is")
	socket     = flag.String("tpm", "", "socket of a software TPM")
	messages   protoreflect.FileDescriptor
)

func main() {
	flag.Parse()
	if err := run(flag.Arg(0)); err != nil {
		if s, ok := status.FromError(err); ok {
			fmt.Printf("status %s: %s\n", s.Code(), s.Message())
		} else {
			fmt.Printf("error %v\n", err)
		}
		os.Exit(1)
	}
}

func run(command string) error {
	accessor := protocompile.SourceAccessorFromMap(map[string]string{"original.proto": original})
	compiler := protocompile.Compiler{Resolver: protocompile.WithStandardImports(&protocompile.SourceResolver{Accessor: accessor})}
	files, err := compiler.Compile(context.Background(), "original.proto")
	if err != nil {
		return err
	}
	messages = files[0]
	if command == "serve" {
		return serve()
	}
	conn, err := dial()
	if err != nil {
		return err
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	if command == "health" {
		answer, err := grpc_health_v1.NewHealthClient(conn).Check(ctx, &grpc_health_v1.HealthCheckRequest{Service: "tokenservice.Verifier"})
		if err == nil {
			fmt.Println(answer.Status)
		}
		return err
	}
	if *bearer != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, "authorization", *bearer)
	}
	if command == "get" {
		return getToken(ctx, conn)
	}
	wrong, _ := strings.CutPrefix(command, "attest")
	return attest(ctx, conn, strings.TrimPrefix(wrong, "-only="))
}

func dial() (*grpc.ClientConn, error) {
	roots := x509.NewCertPool()
	text, err := os.ReadFile(*ca)
	if err != nil || !roots.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("authority: %v", err)
	}
	config := &tls.Config{ServerName: *serverName, RootCAs: roots}
	if *cert != "" {
		pair, err := tls.LoadX509KeyPair(*cert, *key)
		if err != nil {
			return nil, err
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return grpc.NewClient(*address, grpc.WithTransportCredentials(credentials.NewTLS(config)))
}

type fields map[string]any

func message(name string, values fields) *dynamicpb.Message {
	m := dynamicpb.NewMessage(messages.Messages().ByName(protoreflect.Name(name)))
	for field, value := range values {
		m.Set(m.Descriptor().Fields().ByName(protoreflect.Name(field)), protoreflect.ValueOf(value))
	}
	return m
}

func get(m protoreflect.Message, field string) protoreflect.Value {
	return m.Get(m.Descriptor().Fields().ByName(protoreflect.Name(field)))
}

func call(ctx context.Context, conn *grpc.ClientConn, method, name string, values fields) (*dynamicpb.Message, error) {
	answer := message(name+"Response", nil)
	return answer, conn.Invoke(ctx, "/tokenservice."+method, message(name+"Request", values), answer)
}

func getToken(ctx context.Context, conn *grpc.ClientConn) error {
	answer, err := call(ctx, conn, "TokenService/GetToken", "Token", fields{"requestId": "r1", "processID": "p1"})
	if err != nil {
		return err
	}
	secrets := get(answer, "secrets").List()
	fmt.Printf("inResponseTo %s pcr %d unknown %t\n", get(answer, "inResponseTo"), get(answer, "pcr").Int(), len(answer.GetUnknown()) > 0)
	for i := 0; i < secrets.Len(); i++ {
		secret := secrets.Get(i).Message()
		value, err := use(get(secret, "type").Enum(), get(secret, "data").Bytes())
		if err != nil {
			return err
		}
		fmt.Printf("%s %d %s\n", get(secret, "name"), get(secret, "type").Enum(), value)
	}
	return nil
}

func use(kind protoreflect.EnumNumber, data []byte) (string, error) {
	switch kind {
	case 1:
		rwc, err := openTPM()
		if err != nil {
			return "", err
		}
		defer rwc.Close()
		ek, err := endorsementKey(rwc)
		if err != nil {
			return "", err
		}
		defer ek.Close()
		blob := &tpmpb.ImportBlob{}
		if err := proto.Unmarshal(data, blob); err != nil {
			return "", err
		}
		value, err := ek.Import(blob)
		return string(value), err
	case 2:
		handle, err := insecurecleartextkeyset.Read(keyset.NewBinaryReader(bytes.NewReader(data)))
		if err != nil {
			return "", err
		}
		primitive, err := aead.New(handle)
		if err != nil {
			return "", err
		}
		sealed, err := primitive.Encrypt([]byte("tried once"), nil)
		if err != nil {
			return "", err
		}
		opened, err := primitive.Decrypt(sealed, nil)
		return string(opened), err
	}
	return string(data), nil
}

// endorsementKey leaves the certificate in NV alone: the simulator marks it by an OID that Go's parser cannot hold.
func endorsementKey(rwc io.ReadWriteCloser) (*client.Key, error) {
	return client.NewKey(rwc, tpm2.HandleEndorsement, client.DefaultEKTemplateRSA())
}

func openTPM() (io.ReadWriteCloser, error) { return net.Dial("unix", *socket) }

var attestationKey = tpm2.Public{
	Type: tpm2.AlgRSA, NameAlg: tpm2.AlgSHA256,
	Attributes:    tpm2.FlagFixedTPM | tpm2.FlagFixedParent | tpm2.FlagSensitiveDataOrigin | tpm2.FlagUserWithAuth | tpm2.FlagRestricted | tpm2.FlagSign,
	RSAParameters: &tpm2.RSAParams{Sign: &tpm2.SigScheme{Alg: tpm2.AlgRSASSA, Hash: tpm2.AlgSHA256}, KeyBits: 2048},
}

func attest(ctx context.Context, conn *grpc.ClientConn, wrong string) error {
	rwc, err := openTPM()
	if err != nil {
		return err
	}
	defer rwc.Close()
	ek, err := endorsementKey(rwc)
	if err != nil {
		return err
	}
	defer ek.Close()
	template := attestationKey
	if wrong == "ordinary-key" {
		template.Attributes &^= tpm2.FlagRestricted
	}
	ak, err := client.NewKey(rwc, tpm2.HandleEndorsement, template)
	if err != nil {
		return err
	}
	defer ak.Close()
	ekPub, err := ek.PublicArea().Encode()
	if err != nil {
		return err
	}
	akPub, err := ak.PublicArea().Encode()
	if err != nil {
		return err
	}
	name, err := ak.Name().Encode()
	if err != nil {
		return err
	}
	spki, err := x509.MarshalPKIXPublicKey(ak.PublicKey())
	if err != nil {
		return err
	}
	akPEM := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: spki})
	made, err := call(ctx, conn, "Verifier/MakeCredential", "MakeCredential", fields{
		"requestId": "u1", "akName": hex.EncodeToString(name[2:]), "ekPub": ekPub, "akPub": akPub, "akPubCert": akPEM,
	})
	if err != nil {
		return err
	}
	pcr := int(get(made, "pcr").Int())
	secret, err := activate(rwc, ak, ek, get(made, "credBlob").Bytes(), get(made, "encryptedSecret").Bytes())
	if err != nil {
		return err
	}
	if wrong == "guessed-secret" {
		secret = strings.Repeat("a", len(secret))
	}
	quote, signature, err := tpm2.Quote(rwc, ak.Handle(), "", "", []byte(secret), tpm2.PCRSelection{Hash: tpm2.AlgSHA256, PCRs: []int{pcr}}, tpm2.AlgNull)
	if err != nil {
		return err
	}
	answer := fields{"requestId": "u1", "secret": secret, "attestation": quote, "signature": []byte(signature.RSA.Signature)}
	activated, err := call(ctx, conn, "Verifier/ActivateCredential", "ActivateCredential", answer)
	if err != nil {
		return err
	}
	if wrong == "secret-twice" {
		_, err := call(ctx, conn, "Verifier/ActivateCredential", "ActivateCredential", answer)
		return err
	}
	offered, err := call(ctx, conn, "Verifier/OfferQuote", "OfferQuote", fields{"requestId": "u1"})
	if err != nil {
		return err
	}
	nonce := get(offered, "nonce").String()
	if wrong == "other-nonce" {
		nonce = "another"
	}
	if wrong == "other-register" {
		pcr = 23
	}
	quote, signature, err = tpm2.Quote(rwc, ak.Handle(), "", "", []byte(nonce), tpm2.PCRSelection{Hash: tpm2.AlgSHA256, PCRs: []int{pcr}}, tpm2.AlgNull)
	if err != nil {
		return err
	}
	provided, err := call(ctx, conn, "Verifier/ProvideQuote", "ProvideQuote", fields{
		"requestId": "u1", "attestation": quote, "signature": []byte(signature.RSA.Signature),
	})
	if err != nil {
		return err
	}
	fmt.Printf("activated %t quoted %t\n", get(activated, "verified").Bool(), get(provided, "verified").Bool())
	if wrong == "signing-key" {
		certified, certification, err := tpm2.Certify(rwc, "", "", ak.Handle(), ak.Handle(), nil)
		if err != nil {
			return err
		}
		_, err = call(ctx, conn, "Verifier/ProvideSigningKey", "ProvideSigningKey", fields{
			"requestId": "u1", "signingkey": akPEM, "attestation": certified, "signature": certification,
		})
		return err
	}
	ak.Close()
	ek.Close()
	rwc.Close()
	return getToken(ctx, conn)
}

func activate(rwc io.ReadWriteCloser, ak, ek *client.Key, blob, encrypted []byte) (string, error) {
	session, _, err := tpm2.StartAuthSession(rwc, tpm2.HandleNull, tpm2.HandleNull, make([]byte, 16), nil, tpm2.SessionPolicy, tpm2.AlgNull, tpm2.AlgSHA256)
	if err != nil {
		return "", err
	}
	defer tpm2.FlushContext(rwc, session)
	password := tpm2.AuthCommand{Session: tpm2.HandlePasswordSession, Attributes: tpm2.AttrContinueSession}
	if _, _, err := tpm2.PolicySecret(rwc, tpm2.HandleEndorsement, password, session, nil, nil, nil, 0); err != nil {
		return "", err
	}
	auth := []tpm2.AuthCommand{password, {Session: session, Attributes: tpm2.AttrContinueSession}}
	secret, err := tpm2.ActivateCredentialUsingAuth(rwc, auth, ak.Handle(), ek.Handle(), blob, encrypted)
	return string(secret), err
}

// serve answers GetToken as the original does, with the secrets of a file in the original's form; it prints its address
// and then each request that it got.
func serve() error {
	pair, err := tls.LoadX509KeyPair(*cert, *key)
	if err != nil {
		return err
	}
	var secrets []struct {
		Name, Type string
		Data       []byte
	}
	text, err := io.ReadAll(os.Stdin)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, &secrets); err != nil {
		return err
	}
	kinds := map[string]protoreflect.EnumNumber{"RAW": 0, "TPM": 1, "TINK": 2}
	handler := func(_ any, stream grpc.ServerStream) error {
		request := message("TokenRequest", nil)
		if err := stream.RecvMsg(request); err != nil {
			return err
		}
		incoming, _ := metadata.FromIncomingContext(stream.Context())
		fmt.Printf("request %t %s unknown %t\n", get(request, "requestId").String() != "", strings.SplitN(strings.Join(incoming.Get("authorization"), ""), " ", 2)[0], len(request.GetUnknown()) > 0)
		answer := message("TokenResponse", fields{"responseID": "s1", "inResponseTo": get(request, "requestId").String(), "pcr": int64(0)})
		list := answer.Mutable(answer.Descriptor().Fields().ByName("secrets")).List()
		for _, secret := range secrets {
			list.Append(protoreflect.ValueOfMessage(message("Secret", fields{"name": secret.Name, "type": kinds[secret.Type], "data": secret.Data})))
		}
		return stream.SendMsg(answer)
	}
	server := grpc.NewServer(grpc.Creds(credentials.NewServerTLSFromCert(&pair)), grpc.UnknownServiceHandler(handler))
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(listener.Addr())
	return server.Serve(listener)
}
