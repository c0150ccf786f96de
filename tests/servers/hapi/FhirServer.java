import ca.uhn.fhir.batch2.jobs.config.Batch2JobsConfig;
import ca.uhn.fhir.batch2.jobs.export.BulkDataExportProvider;
import ca.uhn.fhir.batch2.maintenance.JobMaintenanceServiceImpl;
import ca.uhn.fhir.context.FhirContext;
import ca.uhn.fhir.context.support.IValidationSupport;
import ca.uhn.fhir.jpa.api.config.JpaStorageSettings;
import ca.uhn.fhir.jpa.api.config.ThreadPoolFactoryConfig;
import ca.uhn.fhir.jpa.api.dao.IFhirSystemDao;
import ca.uhn.fhir.jpa.batch2.JpaBatch2Config;
import ca.uhn.fhir.jpa.binary.api.IBinaryStorageSvc;
import ca.uhn.fhir.jpa.binstore.MemoryBinaryStorageSvcImpl;
import ca.uhn.fhir.jpa.config.HapiJpaConfig;
import ca.uhn.fhir.jpa.config.r4.JpaR4Config;
import ca.uhn.fhir.jpa.config.util.HapiEntityManagerFactoryUtil;
import ca.uhn.fhir.jpa.model.config.PartitionSettings;
import ca.uhn.fhir.jpa.model.config.SubscriptionSettings;
import ca.uhn.fhir.jpa.model.dialect.HapiFhirH2Dialect;
import ca.uhn.fhir.jpa.provider.JpaCapabilityStatementProvider;
import ca.uhn.fhir.jpa.provider.JpaSystemProvider;
import ca.uhn.fhir.jpa.provider.TerminologyUploaderProvider;
import ca.uhn.fhir.jpa.provider.ValueSetOperationProvider;
import ca.uhn.fhir.jpa.search.DatabaseBackedPagingProvider;
import ca.uhn.fhir.jpa.subscription.channel.config.SubscriptionChannelConfig;
import ca.uhn.fhir.jpa.subscription.match.config.SubscriptionProcessorConfig;
import ca.uhn.fhir.jpa.subscription.match.deliver.email.IEmailSender;
import ca.uhn.fhir.jpa.subscription.submit.config.SubscriptionSubmitterConfig;
import ca.uhn.fhir.jpa.validation.JpaValidationSupportChain;
import ca.uhn.fhir.rest.server.RestfulServer;
import ca.uhn.fhir.rest.server.provider.ResourceProviderFactory;
import ca.uhn.fhir.rest.server.util.ISearchParamRegistry;
import jakarta.persistence.EntityManagerFactory;
import java.io.InputStream;
import java.net.HttpURLConnection;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import javax.sql.DataSource;
import org.apache.commons.dbcp2.BasicDataSource;
import org.eclipse.jetty.ee10.servlet.ServletContextHandler;
import org.eclipse.jetty.ee10.servlet.ServletHolder;
import org.eclipse.jetty.server.Server;
import org.eclipse.jetty.server.ServerConnector;
import org.hl7.fhir.common.hapi.validation.support.PrePopulatedValidationSupport;
import org.hl7.fhir.instance.model.api.IBaseResource;
import org.hl7.fhir.utilities.npm.NpmPackage;
import org.springframework.beans.factory.annotation.Qualifier;
import org.springframework.beans.factory.config.BeanPostProcessor;
import org.springframework.beans.factory.config.ConfigurableListableBeanFactory;
import org.springframework.context.ApplicationContext;
import org.springframework.context.annotation.AnnotationConfigApplicationContext;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.context.annotation.Import;
import org.springframework.orm.jpa.JpaTransactionManager;
import org.springframework.orm.jpa.LocalContainerEntityManagerFactoryBean;
import org.springframework.transaction.annotation.EnableTransactionManagement;

/**
 * A real FHIR R4 server for the tests: HAPI FHIR JPA on an in-memory database, on a free loopback port.
 *
 * <p>Usage: FhirServer URL_FILE [PROFILES_TGZ]. The base URL is printed and appears in URL_FILE, whole or not at
 * all, once the server answers. The server ends when its standard input does, so a dead parent leaves nothing.
 */
public final class FhirServer {

  public static void main(String[] arguments) throws Exception {
    Path urlFile = Path.of(arguments[0]);
    var spring = new AnnotationConfigApplicationContext(Wiring.class);
    if (arguments.length > 1) {
      addProfiles(spring, Path.of(arguments[1]));
    }
    String url = "http://127.0.0.1:" + listen(spring.getBean(RestfulServer.class)) + "/fhir";
    awaitMetadata(url);
    announce(url, urlFile);
    while (System.in.read() >= 0) {
      // Whatever is written to us is of no interest; only the end of it is.
    }
    System.exit(0);
  }

  private static int listen(RestfulServer fhir) throws Exception {
    var jetty = new Server();
    var connector = new ServerConnector(jetty);
    connector.setHost("127.0.0.1");
    jetty.addConnector(connector);
    var handler = new ServletContextHandler();
    handler.addServlet(new ServletHolder(fhir), "/fhir/*");
    jetty.setHandler(handler);
    jetty.start();
    return connector.getLocalPort();
  }

  /** The first answer also builds the CapabilityStatement, which takes long enough to upset a test's timeout. */
  private static void awaitMetadata(String url) throws Exception {
    var connection = (HttpURLConnection) URI.create(url + "/metadata").toURL().openConnection();
    if (connection.getResponseCode() != 200) {
      throw new IllegalStateException("metadata answered " + connection.getResponseCode());
    }
    connection.disconnect();
  }

  private static void announce(String url, Path urlFile) throws Exception {
    Path unfinished = urlFile.resolveSibling(urlFile.getFileName() + ".unfinished");
    Files.writeString(unfinished, url);
    Files.move(unfinished, urlFile, StandardCopyOption.ATOMIC_MOVE);
    System.out.println(url);
  }

  /** Profiles in memory, asked right after HAPI's own definitions: a PUT of each would cost seconds at every start. */
  private static void addProfiles(ApplicationContext spring, Path tgz) throws Exception {
    var fhir = spring.getBean(FhirContext.class);
    var profiles = new PrePopulatedValidationSupport(fhir);
    try (InputStream packed = Files.newInputStream(tgz)) {
      NpmPackage content = NpmPackage.fromPackage(packed);
      for (String name : content.listResources("StructureDefinition", "ValueSet", "CodeSystem")) {
        try (InputStream text = content.loadResource(name)) {
          profiles.addResource((IBaseResource) fhir.newJsonParser().parseResource(text));
        }
      }
    }
    spring.getBean(JpaValidationSupportChain.class).addValidationSupport(1, profiles);
  }

  @Configuration
  @EnableTransactionManagement
  @Import({
    JpaR4Config.class,
    HapiJpaConfig.class,
    JpaBatch2Config.class,
    Batch2JobsConfig.class,
    ThreadPoolFactoryConfig.class,
    SubscriptionChannelConfig.class,
    SubscriptionProcessorConfig.class,
    SubscriptionSubmitterConfig.class
  })
  static class Wiring {

    @Bean
    JpaStorageSettings storageSettings() {
      var settings = new JpaStorageSettings();
      // Otherwise a search may answer from a result up to a minute old, and hide what a client just wrote.
      settings.setReuseCachedSearchResultsForMillis(null);
      return settings;
    }

    @Bean
    SubscriptionSettings subscriptionSettings() {
      return new SubscriptionSettings();
    }

    @Bean
    PartitionSettings partitionSettings() {
      return new PartitionSettings();
    }

    /** Jobs ($export) look for work once a second, not once a minute. */
    @Bean
    static BeanPostProcessor promptJobs() {
      return new BeanPostProcessor() {
        @Override
        public Object postProcessBeforeInitialization(Object bean, String name) {
          if (bean instanceof JobMaintenanceServiceImpl jobs) {
            jobs.setScheduledJobFrequencyMillis(1000);
          }
          return bean;
        }
      };
    }

    @Bean
    IEmailSender noEmail() {
      return details -> {};
    }

    @Bean
    IBinaryStorageSvc binaryStorage() {
      return new MemoryBinaryStorageSvcImpl();
    }

    @Bean(destroyMethod = "close")
    DataSource dataSource() {
      var source = new BasicDataSource();
      source.setDriver(new org.h2.Driver());
      source.setUrl("jdbc:h2:mem:fhir;DB_CLOSE_DELAY=-1");
      source.setUsername("sa");
      source.setMaxTotal(30);
      return source;
    }

    @Bean
    LocalContainerEntityManagerFactoryBean entityManagerFactory(
        ConfigurableListableBeanFactory beans, FhirContext fhir, JpaStorageSettings settings, DataSource source) {
      var factory = HapiEntityManagerFactoryUtil.newEntityManagerFactory(beans, fhir, settings);
      factory.setPersistenceUnitName("fhir");
      factory.setDataSource(source);
      var properties = new Properties();
      properties.putAll(
          Map.of(
              "hibernate.dialect", HapiFhirH2Dialect.class.getName(),
              "hibernate.hbm2ddl.auto", "update",
              "hibernate.jdbc.batch_size", "20",
              "hibernate.search.enabled", "false"));
      factory.setJpaProperties(properties);
      return factory;
    }

    /** HAPI asks for this bean by exactly this name. */
    @Bean
    JpaTransactionManager transactionManager(EntityManagerFactory factory) {
      return new JpaTransactionManager(factory);
    }

    @Bean
    RestfulServer restfulServer(
        FhirContext fhir,
        IFhirSystemDao<?, ?> systemDao,
        JpaSystemProvider<?, ?> systemProvider,
        @Qualifier("myResourceProvidersR4") ResourceProviderFactory resourceProviders,
        JpaStorageSettings settings,
        ISearchParamRegistry searchParameters,
        @Qualifier("myJpaValidationSupportChain") IValidationSupport validation,
        ApplicationContext spring) {
      var server = new RestfulServer(fhir);
      server.registerProviders(resourceProviders.createProviders());
      server.registerProvider(systemProvider);
      server.registerProviders(
          List.of(
              spring.getBean(TerminologyUploaderProvider.class),
              spring.getBean(ValueSetOperationProvider.class),
              spring.getBean(BulkDataExportProvider.class)));
      server.setServerConformanceProvider(
          new JpaCapabilityStatementProvider(server, systemDao, settings, searchParameters, validation));
      server.setPagingProvider(spring.getBean(DatabaseBackedPagingProvider.class));
      return server;
    }
  }

  private FhirServer() {}
}
