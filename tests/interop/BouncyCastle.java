import java.io.BufferedReader;
import java.io.ByteArrayInputStream;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyFactory;
import java.security.KeyPair;
import java.security.KeyPairGenerator;
import java.security.PrivateKey;
import java.security.Security;
import java.security.cert.CertificateFactory;
import java.security.cert.X509Certificate;
import java.security.interfaces.ECPublicKey;
import java.security.spec.PKCS8EncodedKeySpec;
import java.util.Collection;
import java.util.List;
import org.bouncycastle.asn1.ASN1ObjectIdentifier;
import org.bouncycastle.asn1.DERNull;
import org.bouncycastle.asn1.nist.NISTObjectIdentifiers;
import org.bouncycastle.asn1.pkcs.PKCSObjectIdentifiers;
import org.bouncycastle.asn1.pkcs.RSAESOAEPparams;
import org.bouncycastle.asn1.x509.AlgorithmIdentifier;
import org.bouncycastle.cert.jcajce.JcaCertStore;
import org.bouncycastle.cms.CMSAlgorithm;
import org.bouncycastle.cms.CMSAuthEnvelopedData;
import org.bouncycastle.cms.CMSAuthEnvelopedDataGenerator;
import org.bouncycastle.cms.CMSEnvelopedData;
import org.bouncycastle.cms.CMSEnvelopedDataGenerator;
import org.bouncycastle.cms.CMSProcessableByteArray;
import org.bouncycastle.cms.CMSSignedData;
import org.bouncycastle.cms.CMSSignedDataGenerator;
import org.bouncycastle.cms.Recipient;
import org.bouncycastle.cms.RecipientInfoGenerator;
import org.bouncycastle.cms.RecipientInformation;
import org.bouncycastle.cms.SignerInformation;
import org.bouncycastle.cms.jcajce.JcaSignerInfoGeneratorBuilder;
import org.bouncycastle.cms.jcajce.JcaSimpleSignerInfoVerifierBuilder;
import org.bouncycastle.cms.jcajce.JceCMSContentEncryptorBuilder;
import org.bouncycastle.cms.jcajce.JceKeyAgreeEnvelopedRecipient;
import org.bouncycastle.cms.jcajce.JceKeyAgreeRecipientInfoGenerator;
import org.bouncycastle.cms.jcajce.JceKeyTransAuthEnvelopedRecipient;
import org.bouncycastle.cms.jcajce.JceKeyTransEnvelopedRecipient;
import org.bouncycastle.cms.jcajce.JceKeyTransRecipientInfoGenerator;
import org.bouncycastle.jce.provider.BouncyCastleProvider;
import org.bouncycastle.operator.OutputAEADEncryptor;
import org.bouncycastle.operator.jcajce.JcaContentSignerBuilder;
import org.bouncycastle.operator.jcajce.JcaDigestCalculatorProviderBuilder;

/** Does one job per line of its input and answers "ok", or "no" with a reason; see bouncy_castle.py. */
public class BouncyCastle {
  public static void main(String[] arguments) throws Exception {
    Security.addProvider(new BouncyCastleProvider());
    BufferedReader jobs = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    for (String line = jobs.readLine(); line != null; line = jobs.readLine()) {
      try {
        run(line.split("\t"));
        System.out.println("ok");
      } catch (Exception | Error error) {
        System.out.println("no " + error.toString().replace('\n', ' '));
      }
    }
  }

  static void run(String[] job) throws Exception {
    switch (job[0]) {
      case "verify" -> verify(read(job[1]), read(job[2]));
      case "sign" -> write(job[5], sign(key(job[1]), certificate(job[2]), job[3], read(job[4])));
      case "decrypt" -> write(job[4], decrypt(key(job[1]), certificate(job[2]), read(job[3])));
      case "encrypt" -> write(job[5], encrypt(certificate(job[1]), job[2], job[3], read(job[4])));
      default -> throw new IllegalArgumentException(job[0]);
    }
  }

  static void verify(byte[] signature, byte[] content) throws Exception {
    CMSSignedData signed = new CMSSignedData(new CMSProcessableByteArray(content), signature);
    Collection<SignerInformation> signers = signed.getSignerInfos().getSigners();
    if (signers.size() != 1) throw new IllegalStateException("signers");
    for (SignerInformation signer : signers) {
      var holders = signed.getCertificates().getMatches(signer.getSID());
      var holder = (org.bouncycastle.cert.X509CertificateHolder) holders.iterator().next();
      var verifier = new JcaSimpleSignerInfoVerifierBuilder().setProvider("BC").build(holder);
      if (!signer.verify(verifier)) throw new IllegalStateException("does not hold");
    }
  }

  static byte[] sign(PrivateKey key, X509Certificate certificate, String algorithm, byte[] content) throws Exception {
    var signer = new JcaContentSignerBuilder(algorithm).setProvider("BC").build(key);
    var digests = new JcaDigestCalculatorProviderBuilder().setProvider("BC").build();
    CMSSignedDataGenerator generator = new CMSSignedDataGenerator();
    generator.addSignerInfoGenerator(new JcaSignerInfoGeneratorBuilder(digests).build(signer, certificate));
    generator.addCertificates(new JcaCertStore(List.of(certificate)));
    return generator.generate(new CMSProcessableByteArray(content), false).getEncoded();
  }

  static byte[] decrypt(PrivateKey key, X509Certificate certificate, byte[] sealed) throws Exception {
    boolean agrees = certificate.getPublicKey() instanceof ECPublicKey;
    Collection<RecipientInformation> recipients;
    Recipient recipient;
    try {
      recipients = new CMSEnvelopedData(sealed).getRecipientInfos().getRecipients();
      recipient =
          agrees
              ? new JceKeyAgreeEnvelopedRecipient(key).setProvider("BC")
              : new JceKeyTransEnvelopedRecipient(key).setProvider("BC");
    } catch (Exception other) {
      recipients = new CMSAuthEnvelopedData(sealed).getRecipientInfos().getRecipients();
      recipient =
          agrees
              ? new JceKeyAgreeEnvelopedRecipient(key).setProvider("BC")
              : new JceKeyTransAuthEnvelopedRecipient(key).setProvider("BC");
    }
    return recipients.iterator().next().getContent(recipient);
  }

  static byte[] encrypt(X509Certificate certificate, String transport, String cipher, byte[] content)
      throws Exception {
    RecipientInfoGenerator recipient = recipient(certificate, transport);
    CMSProcessableByteArray data = new CMSProcessableByteArray(content);
    if (cipher.equals("gcm")) {
      CMSAuthEnvelopedDataGenerator generator = new CMSAuthEnvelopedDataGenerator();
      generator.addRecipientInfoGenerator(recipient);
      var encryptor = new JceCMSContentEncryptorBuilder(CMSAlgorithm.AES256_GCM).setProvider("BC").build();
      return generator.generate(data, (OutputAEADEncryptor) encryptor).getEncoded();
    }
    ASN1ObjectIdentifier chosen = cipher.equals("3des") ? CMSAlgorithm.DES_EDE3_CBC : CMSAlgorithm.AES256_CBC;
    CMSEnvelopedDataGenerator generator = new CMSEnvelopedDataGenerator();
    generator.addRecipientInfoGenerator(recipient);
    return generator
        .generate(data, new JceCMSContentEncryptorBuilder(chosen).setProvider("BC").build())
        .getEncoded();
  }

  static RecipientInfoGenerator recipient(X509Certificate certificate, String transport) throws Exception {
    if (transport.equals("ecdh")) {
      KeyPairGenerator pairs = KeyPairGenerator.getInstance("EC", "BC");
      pairs.initialize(((ECPublicKey) certificate.getPublicKey()).getParams());
      KeyPair pair = pairs.generateKeyPair();
      return new JceKeyAgreeRecipientInfoGenerator(
              CMSAlgorithm.ECDH_SHA256KDF, pair.getPrivate(), pair.getPublic(), CMSAlgorithm.AES256_WRAP)
          .addRecipient(certificate)
          .setProvider("BC");
    }
    if (transport.equals("pkcs1")) return new JceKeyTransRecipientInfoGenerator(certificate).setProvider("BC");
    AlgorithmIdentifier hash = new AlgorithmIdentifier(NISTObjectIdentifiers.id_sha256, DERNull.INSTANCE);
    AlgorithmIdentifier mask = new AlgorithmIdentifier(PKCSObjectIdentifiers.id_mgf1, hash);
    AlgorithmIdentifier oaep =
        new AlgorithmIdentifier(
            PKCSObjectIdentifiers.id_RSAES_OAEP,
            new RSAESOAEPparams(hash, mask, RSAESOAEPparams.DEFAULT_P_SOURCE_ALGORITHM));
    return new JceKeyTransRecipientInfoGenerator(certificate, oaep).setProvider("BC");
  }

  static PrivateKey key(String path) throws Exception {
    byte[] octets = read(path);
    try {
      return KeyFactory.getInstance("RSA", "BC").generatePrivate(new PKCS8EncodedKeySpec(octets));
    } catch (Exception other) {
      return KeyFactory.getInstance("EC", "BC").generatePrivate(new PKCS8EncodedKeySpec(octets));
    }
  }

  static X509Certificate certificate(String path) throws Exception {
    return (X509Certificate)
        CertificateFactory.getInstance("X.509", "BC").generateCertificate(new ByteArrayInputStream(read(path)));
  }

  static byte[] read(String path) throws Exception {
    return Files.readAllBytes(Path.of(path));
  }

  static void write(String path, byte[] octets) throws Exception {
    Files.write(Path.of(path), octets);
  }
}
