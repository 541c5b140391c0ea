import { API_GROUP, API_VERSION, KIND } from './resource.ts';
import { lockPolicySchema, type StructuralSchema } from './schema.ts';

/** The custom resource definition of LockPolicy, for Kubernetes 1.16 and later (apiextensions v1). */
export function lockPolicyCRDManifest(): object {
  const plural = 'lockpolicies';
  const schema: StructuralSchema = {
    type: 'object',
    description: 'What processes that run heddle do about locks, retries, placement and priority.',
    required: ['spec'],
    properties: { spec: lockPolicySchema },
  };
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${plural}.${API_GROUP}` },
    spec: {
      group: API_GROUP,
      scope: 'Namespaced',
      names: { kind: KIND, listKind: `${KIND}List`, plural, singular: 'lockpolicy', shortNames: ['lockpol'] },
      versions: [
        {
          name: API_VERSION,
          served: true,
          storage: true,
          schema: { openAPIV3Schema: schema },
          additionalPrinterColumns: [
            { name: 'QoS', type: 'string', jsonPath: '.spec.qosClass' },
            { name: 'Max hold', type: 'string', jsonPath: '.spec.maxHoldTime' },
            { name: 'Attempts', type: 'integer', jsonPath: '.spec.retryPolicy.attempts' },
            { name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp' },
          ],
        },
      ],
    },
  };
}
