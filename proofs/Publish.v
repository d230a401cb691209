(* Publish: attach_run's two ways, a new leaf and a leaf that grows, keep the invariant. *)
From Coq Require Import Arith List Bool Lia.
From Tattletale Require Import PagePool LongestPrefix RadixTrie TrieNodes TrieStructure TrieWalk TrieGrow Invariant Leases.
Import ListNotations.

Section Publish.
Variable P : nat.
Hypothesis P_positive : 0 < P.

Lemma leaf_less ns ns' s : (forall q, edge_of ns q -> edge_of ns' q) -> leaf ns' s -> leaf ns s.
Proof. intros E L a H. apply (L a), E, H. Qed.
Lemma branching_more ns ns' s : (forall q, edge_of ns q -> edge_of ns' q) -> branching ns s -> branching ns' s.
Proof. intros E (a & b & D & Ea & Eb). exists a, b. auto. Qed.
Lemma solid_run tokens depth ps : runs P tokens depth ps -> depth <= length tokens ->
  length tokens mod P = 0 \/ tail_of P tokens depth ps <> None.
Proof. intros R L. destruct (Nat.eq_dec (length tokens mod P) 0); auto. right. apply run_tail_some; auto. Qed.

(* The tokens of a run are no node of the trie before it hangs. *)
Lemma fresh_path ns s tokens : well_formed P ns -> prefix s tokens -> length s < length tokens ->
  ~ edge_of ns (firstn (S (length s)) tokens) -> ~ a_node tokens ns.
Proof.
  intros W Ps L N [E|I]; [rewrite E in L; cbn in L; lia|]. apply in_paths in I. destruct I as (m & Hm & Em). apply N.
  apply (edge_prefix_closed P ns m); auto.
  - rewrite Em. apply prefix_firstn.
  - destruct tokens; [cbn in L; lia|discriminate].
Qed.

Theorem new_leaf_inv ns held s xb tokens ps : node_inv P ns held xb [] -> a_node s ns -> prefix s tokens ->
  length s < length tokens -> ~ edge_of ns (firstn (S (length s)) tokens) -> runs P tokens (length s) ps ->
  (xb = [] \/ (xb = s /\ exists b, edge_of ns (s ++ [b]))) ->
  node_inv P (new_leaf P tokens (length s) ps :: update s (set_order false) ns) held [] tokens.
Proof.
  intros V A Ps L N R X. pose proof (i_wf _ _ _ _ _ V) as W0.
  set (ns1 := update s (set_order false) ns).
  assert (Mo : meta_only (fun m => if same_path (n_path m) s then set_order false m else m)) by apply (meta_update s), meta_order.
  destruct (meta_ok P _ ns Mo W0) as (W & Sm). 
  change (map (fun m => if same_path (n_path m) s then set_order false m else m) ns) with ns1 in W, Sm. pose proof (same_edges P _ _ Sm) as E0.
  assert (A1 : a_node s ns1) by (apply (a_node_map _ ns s Mo); auto).
  assert (N1 : ~ edge_of ns1 (firstn (S (length s)) tokens)) by (rewrite E0; auto).
  destruct (new_leaf_ok P P_positive ns1 s tokens ps W A1 Ps L N1 R) as (W' & E & _).
  set (g := new_leaf P tokens (length s) ps) in *. set (ns' := g :: ns1) in *.
  assert (Mono : forall q, edge_of ns q -> edge_of ns' q) by (intros q H; apply E; left; apply E0; auto).
  pose proof (fresh_path ns s tokens W0 Ps L N) as Fr.
  assert (Snoc : firstn (S (length s)) tokens = s ++ [nth (length s) tokens 0]).
  { rewrite firstn_more by auto. f_equal. symmetry. apply prefix_is_firstn. auto. }
  assert (New : edge_of ns' (s ++ [nth (length s) tokens 0])).
  { apply E. right. rewrite <- Snoc. split; [apply prefix_firstn|]. rewrite firstn_length. lia. }
  (* Only s gets a new continuation. *)
  assert (Only : forall x a, In x ns -> edge_of ns' (n_path x ++ [a]) -> ~ edge_of ns (n_path x ++ [a]) -> n_path x = s).
  { intros x a Hx H Nh. apply E in H. rewrite E0 in H. destruct H as [H|(Pq & Lq)]; [tauto|].
    rewrite app_length in Lq. cbn in Lq.
    assert (Px : prefix (n_path x) tokens) by (eapply prefix_trans; [apply prefix_app|exact Pq]).
    destruct (Nat.eq_dec (length (n_path x)) (length s)) as [Q|Q].
    - apply (prefix_same_length (n_path x) s); [|lia]. apply (prefix_both _ _ tokens); auto. lia.
    - exfalso. apply N. apply (edge_prefix_closed P ns x); auto.
      + apply (prefix_both _ _ tokens); auto using prefix_firstn. rewrite firstn_length. lia.
      + destruct tokens; [cbn in L; lia|discriminate]. }
  constructor; auto.
  - intros x [<-|Hx] _ M T.
    + exfalso. cbn in T, M. unfold stop in M; cbn in M. revert T. apply run_tail_some; auto; lia.
    + apply in_map_iff in Hx. destruct Hx as (m & <- & Hm). destruct (Mo m) as (Ep & _ & _ & Et). unfold stop in M.
      rewrite Ep in *. rewrite Et in T.
      destruct (same_path (n_path m) xb) eqn:Q; [apply same_path_spec in Q|apply same_path_false in Q].
      * destruct X as [->|(-> & b & Eb)]; [exfalso; apply (path_not_nil P P_positive ns m W0 Hm); auto|].
        rewrite Q in *. exists b, (nth (length s) tokens 0). split; [|auto]. intros ->. apply N. rewrite Snoc. exact Eb.
      * eapply branching_more; [exact Mono|]. apply (i_backed _ _ _ _ _ V m Hm); auto.
  - intros x [<-|Hx] O; [discriminate|]. apply in_map_iff in Hx. destruct Hx as (m & <- & Hm).
    destruct (same_path (n_path m) s) eqn:Q; [discriminate|]. apply same_path_false in Q. intros a H.
    apply Q. apply (Only m a Hm H). apply (i_leaf _ _ _ _ _ V m Hm O).
  - intros x [<-|Hx] Nx Lx Z; [cbn in Nx; congruence|]. apply in_map_iff in Hx. destruct Hx as (m & <- & Hm).
    destruct (same_path (n_path m) s) eqn:Q.
    + exfalso. apply same_path_spec in Q. cbn in Lx. rewrite Q in Lx. apply (Lx _ New).
    + apply (i_order _ _ _ _ _ V m Hm); auto; [apply (path_not_nil P P_positive ns m W0 Hm)|]. eapply leaf_less; eauto.
  - intros x [<-|Hx].
    + cbn. rewrite (not_node_no_copies P P_positive ns held xb [] tokens V Fr). reflexivity.
    + apply in_map_iff in Hx. destruct Hx as (m & <- & Hm). pose proof (i_holds _ _ _ _ _ V m Hm) as H.
      destruct (same_path (n_path m) s); exact H.
  - intros q I. destruct (i_held _ _ _ _ _ V q I) as [->|B]; [left; auto|right]. right.
    assert (paths ns1 = paths ns) as Hp by (unfold ns1, update, paths; rewrite map_map; apply map_ext; intros m; apply Mo).
    change (In q (paths ns1)). rewrite Hp. exact B.
  - intros x [<-|Hx] Z; [cbn in Z; congruence|]. apply in_map_iff in Hx. destruct Hx as (m & <- & Hm).
    destruct (Mo m) as (Ep & _ & _ & Et). unfold stop. rewrite Ep, Et. apply (i_solid _ _ _ _ _ V m Hm).
    destruct (same_path (n_path m) s); auto.
Qed.

(* own: the lease that grows the leaf is the one that holds it. *)
Theorem grown_inv ns n h (own : bool) tokens ps : node_inv P ns (if own then n_path n :: h else h) [] [] -> In n ns ->
  leaf ns (n_path n) -> holds n = (if own then 1 else 0) -> pinned n = false -> prefix (n_path n) tokens ->
  stop n < length tokens -> runs P tokens (stop n) ps ->
  node_inv P (grown P n tokens ps :: without (n_path n) ns) (if own then tokens :: h else h) [] [].
Proof.
  intros V Hn Lf Hh Pin Pn L R. pose proof (i_wf _ _ _ _ _ V) as W.
  destruct (grow_ok P P_positive ns n tokens ps W Hn Lf Pn L R) as (W' & E & _).
  set (g := grown P n tokens ps) in *. set (ns' := g :: without (n_path n) ns) in *.
  assert (Mono : forall q, edge_of ns q -> edge_of ns' q) by (intros q H; apply E; auto).
  assert (N : ~ edge_of ns (firstn (S (length (n_path n))) tokens)).
  { intros H. assert (Q : firstn (S (length (n_path n))) tokens = n_path n).
    { apply (leaf_end P P_positive ns n); auto. apply prefix_of_firstn; auto. }
    apply (f_equal (@length _)) in Q. rewrite firstn_length in Q. unfold stop in L. lia. }
  pose proof (fresh_path ns (n_path n) tokens W Pn L N) as Fr.
  assert (Ct : copies tokens (if own then n_path n :: h else h) = 0) by (apply (not_node_no_copies P P_positive ns _ [] []); auto).
  assert (Ch : copies (n_path n) h = 0).
  { pose proof (i_holds _ _ _ _ _ V n Hn) as H. rewrite Hh, Pin in H. destruct own; cbn [copies] in H; [rewrite same_path_refl in H|]; lia. }
  assert (Cth : copies tokens h = 0) by (destruct own; cbn [copies] in Ct; lia).
  assert (Oth : forall x, In x (without (n_path n) ns) -> In x ns /\ n_path x <> n_path n).
  { intros x Hx. apply in_without in Hx. auto. }
  assert (Only : forall x a, In x ns -> edge_of ns' (n_path x ++ [a]) -> ~ edge_of ns (n_path x ++ [a]) -> n_path x = n_path n).
  { intros x a Hx H Nh. apply E in H. destruct H as [H|(Pq & Lq)]; [tauto|]. rewrite app_length in Lq. cbn in Lq.
    assert (Px : prefix (n_path x) tokens) by (eapply prefix_trans; [apply prefix_app|exact Pq]).
    apply (leaf_end P P_positive ns n); auto.
    - apply (prefix_both _ _ tokens); auto. unfold stop in Lq. lia.
    - exists x. split; auto. apply (on_own_edge P), (wf_shape P ns W x Hx). }
  assert (Lg : leaf ns' (n_path g)).
  { intros a H. apply E in H. destruct H as [H|(Pq & _)].
    - assert (Q : n_path g ++ [a] = n_path n).
      { apply (leaf_end P P_positive ns n); auto. eapply prefix_trans; [exact Pn|]. apply prefix_app. }
      apply (f_equal (@length _)) in Q. rewrite app_length in Q. cbn in Q. unfold stop in L. lia.
    - apply prefix_length in Pq. rewrite app_length in Pq. cbn in Pq. lia. }
  constructor; auto.
  - intros x [<-|Hx] _ M T.
    + exfalso. unfold stop in M. cbn in M, T. revert T. apply run_tail_some; auto. lia.
    + destruct (Oth x Hx) as (Hx' & _). eapply branching_more; [exact Mono|].
      apply (i_backed _ _ _ _ _ V x Hx'); auto. apply (path_not_nil P P_positive ns x W Hx').
  - intros x [<-|Hx] O; auto. destruct (Oth x Hx) as (Hx' & Nx). intros a H. apply Nx. apply (Only x a Hx' H).
    apply (i_leaf _ _ _ _ _ V x Hx' O).
  - intros x [<-|Hx] _ Lx Z.
    + cbn in Z |- *. apply (i_order _ _ _ _ _ V n Hn); auto. apply (path_not_nil P P_positive ns n W Hn).
    + destruct (Oth x Hx) as (Hx' & Nx). apply (i_order _ _ _ _ _ V x Hx'); auto;
        [apply (path_not_nil P P_positive ns x W Hx')|]. eapply leaf_less; eauto.
  - intros x [<-|Hx].
    + cbn [holds g grown set_tail set_edge pinned n_path]. rewrite Hh, Pin. destruct own; cbn [copies];
        [rewrite same_path_refl|]; lia.
    + destruct (Oth x Hx) as (Hx' & Nx). rewrite (i_holds _ _ _ _ _ V x Hx'). destruct own; auto. cbn [copies].
      assert (same_path (n_path x) (n_path n) = false) as -> by (apply same_path_false; auto).
      assert (same_path (n_path x) tokens = false) as ->; auto.
      apply same_path_false. intros Q. apply Fr. right. apply in_paths. eauto.
  - intros q I. assert (Q : q = tokens \/ In q h) by (destruct own; [destruct I as [<-|I]|]; auto).
    destruct Q as [->|I']; [right; left; reflexivity|].
    destruct (i_held _ _ _ _ _ V q) as [->|B]; [destruct own; [right|]; auto|left; auto|]. right. apply in_paths in B.
    destruct B as (m & Hm & <-). right. apply in_paths. exists m. split; auto. apply in_without. split; auto.
    intros Q. apply copies_in in I'. rewrite Q in I'. lia.
  - intros x [<-|Hx] Z.
    + unfold stop. cbn. apply solid_run; auto. lia.
    + apply (i_solid _ _ _ _ _ V x (proj1 (Oth x Hx)) Z).
Qed.
End Publish.
